"""A committed job is run even if the engine loses its message or the worker dies (P2)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from json import loads

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from session_mgmt import GenerationRequest, JobStatus
from session_mgmt.jobs import rescue as rescue_module
from session_mgmt.jobs import rescue_jobs, run_job
from session_mgmt.jobs.rescue import Rescue, RescueOnRead
from session_mgmt.models import Job
from session_mgmt.sessions import session_manager
from tests.jobs.engines import ImpatientEngine, PickyEngine

pytestmark = pytest.mark.django_db(transaction=True)


def make(job_type="echo", **options):
    return Job.objects.create_if_not_exists(job_type, "target", **options)[0]


def delivered():
    return [result.args_kwargs["args"][0] for result in DBTaskResult.objects.all()]


def long_waited(hours=1):
    """As if the jobs had been created, and the engine told, hours ago."""
    ago = Now() - timedelta(hours=hours)
    Job.objects.update(dispatched_at=ago, updated_at=ago)


def let_lease_run_out():
    Job.objects.update(lease_expires_at=Now() - timedelta(seconds=1))


def test_a_job_is_dispatched_when_it_has_committed_and_not_before():
    with transaction.atomic():
        job = make()
        assert delivered() == []
    assert delivered() == [job.pk]
    assert Job.objects.get().dispatched_at is not None


def test_a_job_that_rolled_back_is_not_dispatched():
    with pytest.raises(RuntimeError), transaction.atomic():
        make()
        raise RuntimeError
    assert delivered() == []


def test_a_job_whose_message_was_lost_is_sent_again_once():
    job = make()
    DBTaskResult.objects.all().delete()
    assert rescue_jobs().redispatched == 0, "it was dispatched a moment ago"
    long_waited()
    assert rescue_jobs().redispatched == 1
    assert rescue_jobs().redispatched == 0
    assert delivered() == [job.pk]


def test_a_job_whose_process_died_before_dispatch_is_sent():
    job = make()
    DBTaskResult.objects.all().delete()
    Job.objects.update(dispatched_at=None)
    assert rescue_jobs().redispatched == 1
    assert delivered() == [job.pk]


def test_an_engine_that_refuses_does_not_undo_the_job(settings, caplog):
    settings.SESSION_MGMT = {"JOB_ENGINE": "tests.jobs.engines.BrokenEngine"}
    job = make()
    assert "engine is down" in caplog.text
    settings.SESSION_MGMT = {}
    assert rescue_jobs().redispatched == 1
    assert delivered() == [job.pk]


def test_a_job_whose_worker_died_is_taken_over():
    job = make()
    Job.objects.claim(job.pk)
    assert rescue_jobs().taken_over == 0, "its lease holds"
    let_lease_run_out()
    assert rescue_jobs().taken_over == 1
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.PENDING, 1)
    Job.objects.update(run_after=None)
    assert run_job(job.pk) is True
    assert Job.objects.get().attempt == 2


def test_a_job_that_kills_every_worker_fails_in_the_end():
    job = make(max_retries=1)
    for _ in range(2):
        Job.objects.update(run_after=None)
        assert Job.objects.claim(job.pk)
        let_lease_run_out()
        rescue_jobs()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.FAILED, 2)
    assert job.error_message == "Attempt 2 ended without a word"


def test_a_failed_attempt_is_delivered_again_when_it_is_due():
    job = make("raise_error")
    DBTaskResult.objects.all().delete()
    run_job(job.pk)
    message = DBTaskResult.objects.get()
    assert message.run_after == Job.objects.get().run_after


def test_the_command_makes_one_pass_and_tells(capsys):
    make()
    Job.objects.update(dispatched_at=None)
    call_command("rescue_jobs")
    assert capsys.readouterr().out == "0 taken over, 1 sent again.\n"


def test_a_dry_run_counts_and_changes_nothing(capsys):
    make()
    Job.objects.update(dispatched_at=None)
    taken = Job.objects.create_if_not_exists("echo", "taken")[0]
    Job.objects.claim(taken.pk)
    let_lease_run_out()
    before = list(Job.objects.order_by("pk").values())
    call_command("rescue_jobs", dry_run=True)
    call_command("rescue_jobs", dry_run=True, json=True)
    text, line = capsys.readouterr().out.splitlines()
    assert text == "1 would be taken over, 1 would be sent again."
    assert loads(line) == {"dry_run": True, "taken_over": 1, "redispatched": 1}
    assert list(Job.objects.order_by("pk").values()) == before
    call_command("rescue_jobs", json=True)
    line = capsys.readouterr().out
    assert loads(line) == {"dry_run": False, "taken_over": 1, "redispatched": 1}


def test_a_job_type_of_another_process_is_left_to_that():
    Job.objects.create_if_not_exists("from_another_process", "target")
    assert rescue_jobs() == Rescue(taken_over=0, redispatched=0)


def test_readers_find_lost_jobs_but_only_one_of_them_and_not_often(settings):
    settings.SESSION_MGMT = {"RESCUE_ON_READ": 3600}
    job = make()
    DBTaskResult.objects.all().delete()
    Job.objects.update(dispatched_at=None)
    rescue = RescueOnRead()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: in_a_thread(rescue), range(50)))
    assert delivered() == [job.pk]
    Job.objects.update(dispatched_at=None)
    rescue()
    assert delivered() == [job.pk], "the next pass is an hour away"


def test_readers_pay_nothing_between_two_passes(settings, django_assert_num_queries):
    settings.SESSION_MGMT = {"RESCUE_ON_READ": 3600}
    rescue = RescueOnRead()
    rescue()
    with django_assert_num_queries(0):
        rescue()
    settings.SESSION_MGMT = {"RESCUE_ON_READ": None}
    with django_assert_num_queries(0):
        RescueOnRead()()


def test_an_error_in_a_readers_pass_is_none_of_its_business(settings, monkeypatch, caplog):
    settings.SESSION_MGMT = {"RESCUE_ON_READ": 3600}
    monkeypatch.setattr(rescue_module, "registered", lambda: 1 / 0)
    RescueOnRead()()
    assert "Lost jobs could not be looked for" in caplog.text


def test_who_follows_an_unfinished_session_finds_its_lost_job(settings, client, person):
    settings.SESSION_MGMT = {"RESCUE_ON_READ": 0.000001}
    session = session_manager.start(GenerationRequest(story_text="x"), owner=person)
    job = make(session=session)
    DBTaskResult.objects.all().delete()
    Job.objects.update(dispatched_at=None)
    url = reverse("session_mgmt:snapshot", args=[session.pk])
    assert client.get(url).status_code == 200
    assert delivered() == [job.pk]


def in_a_thread(function):
    try:
        return function()
    finally:
        connection.close()


def test_an_engine_that_cannot_wait_gets_the_job_from_a_rescue_when_it_is_due(settings):
    settings.SESSION_MGMT = {"JOB_ENGINE": "tests.jobs.engines.ImpatientEngine"}
    ImpatientEngine.delivered.clear()
    job = make("raise_error")
    run_job(job.pk)
    assert rescue_jobs().redispatched == 0
    assert ImpatientEngine.delivered == [job.pk]
    Job.objects.update(run_after=Now() - timedelta(seconds=1))
    assert rescue_jobs().redispatched == 1
    assert ImpatientEngine.delivered == [job.pk, job.pk]


def test_a_job_that_waits_behind_others_is_not_sent_once_a_minute():
    make()
    sent = 0
    for _ in range(480):
        # Six minutes pass: all that was noted lies that much further back.
        step = timedelta(minutes=6)
        Job.objects.update(
            dispatched_at=F("dispatched_at") - step, updated_at=F("updated_at") - step
        )
        sent += rescue_jobs().redispatched
    assert 5 <= sent <= 12, "two days of waiting"


def test_a_message_that_was_lost_while_its_job_was_not_due_is_sent_soon_after():
    job = make(run_after=timezone.now() + timedelta(days=30))
    DBTaskResult.objects.all().delete()
    row = Job.objects.get()
    assert row.dispatched_at == row.run_after, "the engine was told when"
    for passed, sent in ((timedelta(days=29), 0), (timedelta(days=30, minutes=5), 1)):
        Job.objects.update(
            updated_at=row.updated_at - passed,
            run_after=row.run_after - passed,
            dispatched_at=row.dispatched_at - passed,
        )
        assert rescue_jobs().redispatched == sent
    assert delivered() == [job.pk]


def test_an_engine_that_is_away_ends_the_pass_and_every_job_has_its_turn(settings):
    settings.SESSION_MGMT = {"JOB_ENGINE": "tests.jobs.engines.PickyEngine"}
    refused = [Job.objects.create_if_not_exists("echo", f"refused{n}")[0].pk for n in range(4)]
    PickyEngine.refused = set(refused)
    good = [Job.objects.create_if_not_exists("echo", f"good{n}")[0].pk for n in range(3)]
    PickyEngine.delivered.clear()
    Job.objects.update(dispatched_at=None)
    for _ in range(100):
        rescue_jobs(limit=4)
        if set(good) <= set(PickyEngine.delivered):
            break
    assert set(PickyEngine.delivered) == set(good)
    PickyEngine.refused = set()


def test_an_error_in_the_database_with_one_job_does_not_stop_the_others(monkeypatch, caplog):
    jobs = [Job.objects.create_if_not_exists("echo", target)[0] for target in "abc"]
    for job in jobs:
        Job.objects.claim(job.pk)
    let_lease_run_out()
    real = rescue_module.abandon_attempt

    def abandon(job):
        if job.pk == jobs[0].pk:
            raise IntegrityError("DETAIL:  Failing row contains (private).")
        return real(job)

    monkeypatch.setattr(rescue_module, "abandon_attempt", abandon)
    assert rescue_jobs().taken_over == 2
    assert "could not be rescued" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks everything")
def test_a_rescue_waits_for_no_row_that_somebody_has_locked():
    locked, free = (Job.objects.create_if_not_exists("echo", target)[0] for target in "ab")
    for job in (locked, free):
        Job.objects.claim(job.pk)
    let_lease_run_out()
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        list(Job.objects.filter(pk=locked.pk).select_for_update())
        rescued = pool.submit(in_a_thread, rescue_jobs).result(timeout=20)
    assert rescued.taken_over == 1
    assert Job.objects.get(pk=locked.pk).status is JobStatus.RUNNING


def test_one_refused_job_does_not_keep_the_others_waiting(settings, caplog):
    settings.SESSION_MGMT = {"JOB_ENGINE": "tests.jobs.engines.PickyEngine"}
    PickyEngine.delivered.clear()
    jobs = [Job.objects.create_if_not_exists("echo", target)[0] for target in "abc"]
    PickyEngine.refused = {jobs[0].pk}
    PickyEngine.delivered.clear()
    Job.objects.update(dispatched_at=None)
    assert rescue_jobs().redispatched == 2
    assert sorted(PickyEngine.delivered) == [job.pk for job in jobs[1:]]
    assert "engine is down" in caplog.text
    assert Job.objects.get(dispatched_at=None) == jobs[0], "it is tried in the next pass"
    PickyEngine.refused = set()
    assert rescue_jobs().redispatched == 1
