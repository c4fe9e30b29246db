"""How attempts end: given up, out of time, through an outage; and what is told of it."""

import logging
import threading

import pytest
from django.db import connection
from django.utils import timezone

from session_mgmt import ConfigurationError, GenerationStatus, JobStatus, LeaseLostError
from session_mgmt.jobs import GiveUp, job_handler, run_job
from session_mgmt.models import Job
from tests.jobs.making import make, make_due, make_session, status_of
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


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
