"""How attempts end: given up, out of time, through an outage; and what is told of it."""

import logging
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from session_mgmt import ConfigurationError, GenerationStatus, JobStatus, LeaseLostError
from session_mgmt.db import unit_of_work
from session_mgmt.exceptions import CommitOutcomeUnknownError
from session_mgmt.jobs import GiveUp, job_handler, run_job
from session_mgmt.models import Job
from tests.jobs.making import make, make_due, make_session, status_of
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ON_A_SERVER = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a file has no connection to lose or to count"
)


def test_giving_up_fails_the_job_for_good(register):
    def work(job):
        raise GiveUp("The video is private.")

    register("work", work, max_retries=5)
    session = make_session()
    job = make("work", session=session)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
    assert job.error_message == "The video is private."
    assert status_of(session) is GenerationStatus.FAILED


def test_waits_grow_from_attempt_to_attempt_and_have_a_limit(register, settings):
    settings.SESSION_MGMT = {"JOB_RETRY_DELAY": 10, "JOB_RETRY_MAX_DELAY": 60}
    register("fail", lambda job: 1 / 0, max_retries=6)
    job = make("fail")
    waits = []
    for _ in range(6):
        make_due()
        run_job(job.pk)
        waits.append((Job.objects.get().run_after - timezone.now()).total_seconds())
    for wait, middle in zip(waits, [10, 20, 40, 60, 60, 60], strict=True):
        assert middle * 0.75 - 1 < wait <= middle * 1.25
    assert len({round(wait, 2) for wait in waits[3:]}) > 1, "they are spread"


def test_an_attempt_that_takes_too_long_has_failed_and_can_write_nothing(register):
    told = []

    def work(job):
        if job.job.attempt == 1:
            wait_until(lambda: status_of(job.job) is JobStatus.PENDING)
            with pytest.raises(LeaseLostError):
                job.progress(1, 2)
            told.append(job.cancelled)
        return job.job.attempt

    register("work", work, timeout=0.1)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert told == [True]
    assert (job.status, job.result) == (JobStatus.PENDING, None)
    assert job.error_message == "The attempt took longer than 0:00:00.100000"
    make_due()
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.result) == (JobStatus.COMPLETED, 2)


def test_the_last_attempt_that_takes_too_long_fails_job_and_session(register):
    register("work", lambda job: wait_until(lambda: job.cancelled), timeout=0.1, max_retries=0)
    session = make_session()
    job = make("work", session=session)
    run_job(job.pk)
    assert status_of(job) is JobStatus.FAILED
    assert status_of(session) is GenerationStatus.FAILED


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"job_type": ""}, "1 to 100 characters"),
        ({"job_type": None}, "1 to 100 characters"),
        ({"job_type": "x" * 101}, "1 to 100 characters"),
        ({"max_retries": -1}, "max_retries must be"),
        ({"max_retries": True}, "max_retries must be"),
        ({"timeout": 0}, "timeout must be"),
        ({"timeout": "5"}, "timeout must be"),
    ],
)
def test_a_wrong_declaration_is_refused_when_it_is_made(arguments, problem):
    with pytest.raises(ConfigurationError, match=problem):
        job_handler(**{"job_type": "work", **arguments})


def test_a_coroutine_function_is_refused_with_the_remedy(register):
    async def work(job):
        pass

    with pytest.raises(ConfigurationError, match="async_to_sync"):
        register("work", work)


SECRETS = {
    "postgres://user:hunter22@host/name refused": "hunter22",
    "GET https://api.test/?token=abcdef123 failed": "abcdef123",
    "{'api_key': 'key with blanks', 'n': 1}": "key with blanks",
    "Authorization: Bearer abc.def.ghi": "abc.def.ghi",
    "the project's key is canary-of-settings": "canary-of-settings",
}


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_reaches_the_table_or_the_log(register, settings, caplog, text):
    settings.SOME_SERVICE = {"OPTIONS": [{"API_KEY": "canary-of-settings"}]}

    def look_up():
        raise KeyError(text)

    def work(job):
        try:
            look_up()
        except KeyError as error:
            raise ValueError(text) from error

    register("work", work, max_retries=0)
    run_job(make("work").pk)
    stored = Job.objects.get().error_message
    assert stored.startswith("ValueError: ")
    for place in (stored, caplog.text):
        assert SECRETS[text] not in place
        assert "********" in place


def test_what_looks_like_no_secret_stays(register):
    def work(job):
        raise ValueError("max tokens: 4096, password is wrong; see https://a.test/x?page=2")

    register("work", work, max_retries=0)
    run_job(make("work").pk)
    assert Job.objects.get().error_message == (
        "ValueError: max tokens: 4096, password is wrong; see https://a.test/x?page=2"
    )


def test_an_error_of_another_jobs_attempt_is_the_handlers_own(register):
    def work(job):
        raise LeaseLostError(job.job.pk + 1, 1)

    register("work", work, max_retries=0)
    job = make("work")
    run_job(job.pk)
    assert status_of(job) is JobStatus.FAILED


@ON_A_SERVER
@pytest.mark.parametrize("moment", ["in a write", "at the end"])
def test_a_connection_that_is_lost_costs_no_attempt(register, moment, settings):
    settings.SESSION_MGMT = {"RETRY_INITIAL_DELAY": 0.01}

    def work(job):
        connection.connection.close()
        if moment == "in a write":
            job.progress(1, 2, "after it")
        return "done"

    register("work", work, max_retries=0)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.result) == (JobStatus.COMPLETED, 1, "done")


def test_a_write_is_a_sign_of_life(register, settings):
    settings.SESSION_MGMT = {"LEASE": timedelta(hours=1)}
    leases = []

    def work(job):
        Job.objects.update(lease_expires_at=timezone.now())
        job.progress(1, 2)
        leases.append(Job.objects.get().lease_expires_at - timezone.now())

    register("work", work)
    run_job(make("work").pk)
    assert leases[0] > timedelta(minutes=59)


@ON_A_SERVER
def test_a_long_job_holds_no_second_connection_between_two_beats(register, settings):
    settings.SESSION_MGMT = {"LEASE": 0.6}

    def connections_now():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            return cursor.fetchone()[0]

    def work(job):
        alone = connections_now()
        first = Job.objects.get().lease_expires_at
        wait_until(lambda: Job.objects.get().lease_expires_at > first)
        wait_until(lambda: connections_now() == alone)

    register("work", work)
    job = make("work")
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED


def test_code_in_c_that_blocks_for_several_leases_keeps_its_job(register, settings):
    import hashlib

    settings.SESSION_MGMT = {"LEASE": 0.3}
    expired = []

    def work(job):
        started = timezone.now()
        while timezone.now() - started < timedelta(seconds=1.2):
            hashlib.scrypt(b"x", salt=b"y", n=2**15, r=8, p=1, maxmem=2**27)
            expired.append(Job.objects.abandoned().exists())

    register("work", work, max_retries=0)
    job = make("work")
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED
    assert len(expired) >= 2
    assert not any(expired)


def test_a_job_that_fails_is_logged_with_its_traceback_and_leaves_no_thread(register, caplog):
    register("fail", lambda job: 1 / 0, max_retries=0)
    job = make("fail")
    caplog.clear()
    caplog.set_level(logging.ERROR)
    run_job(job.pk)
    assert [record.name for record in caplog.records] == [
        "session_mgmt.jobs.runner",
        "session_mgmt.jobs.attempts",
    ]
    assert "ZeroDivisionError" in caplog.messages[0]
    assert not [one for one in threading.enumerate() if one.name.startswith("lease-of-job")]


def test_a_result_that_is_not_json_is_not_worked_out_again(register):
    register("work", lambda job: object(), max_retries=5)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.FAILED, 1)


def test_a_giving_up_that_cannot_be_read_fails_the_job_all_the_same(register):
    def work(job):
        raise GiveUp(10**5000)

    register("work", work)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert job.status is JobStatus.FAILED
    assert job.error_message == "GiveUp, whose text cannot be read (ValueError)"


def test_the_rows_that_the_database_quotes_are_not_told(register, caplog):
    def work(job):
        job.session.idempotency_key = "private text"
        type(job.session).objects.bulk_create([job.session])

    register("work", work, max_retries=0)
    job = make("work", session=make_session())
    run_job(job.pk)
    job.refresh_from_db()
    assert job.status is JobStatus.FAILED
    assert "IntegrityError" in job.error_message
    assert "private text" not in job.error_message + caplog.text


def test_a_handler_that_leaves_a_transaction_open_loses_its_own_rows_not_the_result(register):
    def work(job):
        connection.set_autocommit(False)
        type(job.session).objects.filter(pk=job.session.pk).update(error_message="lost")
        return "done"

    register("work", work)
    session = make_session()
    job = make("work", session=session)
    run_job(job.pk)
    connection.close()
    job.refresh_from_db()
    session.refresh_from_db()
    assert (job.status, job.result) == (JobStatus.COMPLETED, "done")
    assert session.error_message == ""


def test_what_a_handler_does_to_its_row_does_not_break_the_fence(register):
    def work(job):
        job.job.attempt = job.job.pk = 4711
        job.progress(1, 2)
        return "done"

    register("work", work)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.progress) == (JobStatus.COMPLETED, 1, 1.0)


def test_a_stale_row_that_is_saved_puts_nothing_back():
    job = make("echo", {"a": 1})
    stale = Job.objects.get()
    run_job(job.pk)
    stale.priority = 5
    stale.save()
    job.refresh_from_db()
    assert (job.status, job.attempt, job.priority) == (JobStatus.COMPLETED, 1, 5)
    assert job.result == {"parameters": {"a": 1}}
    job.error_message = "by hand"
    job.save(update_fields=["error_message"])
    assert Job.objects.get().error_message == "by hand"


@ON_A_SERVER
def test_a_claim_whose_commit_was_not_answered_is_this_workers_own(register, monkeypatch):
    real = unit_of_work._Unit.attempt
    lost = []

    def attempt(unit):
        result = real(unit)
        if "begin_attempt" in unit._fn.func.__qualname__ and not lost:
            lost.append(result)
            raise CommitOutcomeUnknownError
        return result

    register("work", lambda job: job.job.attempt, max_retries=0)
    job = make("work")
    monkeypatch.setattr(unit_of_work._Unit, "attempt", attempt)
    assert run_job(job.pk) is True
    job.refresh_from_db()
    assert lost
    assert (job.status, job.result) == (JobStatus.COMPLETED, 1)


@ON_A_SERVER
def test_an_attempt_that_fails_is_announced_though_its_commit_was_not_answered(
    register, monkeypatch
):
    real = unit_of_work._Unit.attempt
    lost = []

    def attempt(unit):
        result = real(unit)
        if "_retry_or_fail" in unit._fn.func.__qualname__ and not lost:
            lost.append(result)
            DBTaskResult.objects.all().delete()
            raise CommitOutcomeUnknownError
        return result

    register("work", lambda job: 1 / 0)
    job = make("work")
    monkeypatch.setattr(unit_of_work._Unit, "attempt", attempt)
    run_job(job.pk)
    assert lost
    assert status_of(job) is JobStatus.PENDING
    assert DBTaskResult.objects.get().args_kwargs["args"][0] == job.pk


def test_a_long_transaction_of_the_handlers_own_does_not_cost_its_lease(register, settings):
    settings.SESSION_MGMT = {"LEASE": 0.6}
    expired = []

    def work(job):
        before = Job.objects.get().lease_expires_at
        with job.atomic():
            wait_until(lambda: timezone.now() > before + timedelta(seconds=0.5))
        expired.append(Job.objects.abandoned().exists())

    register("work", work)
    job = make("work")
    run_job(job.pk)
    assert expired == [False]
    assert status_of(job) is JobStatus.COMPLETED


def test_a_worker_that_can_start_no_thread_runs_its_job_without_a_heartbeat(
    register, monkeypatch, caplog
):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    register("work", lambda job: "done")
    job = make("work")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED
    assert "without a heartbeat" in caplog.text
