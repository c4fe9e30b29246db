"""An attempt runs once, writes only while it owns its job, and ends as its handler did (P2)."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from session_mgmt import (
    ConfigurationError,
    GenerationRequest,
    GenerationStatus,
    JobStatus,
    LeaseLostError,
    ScenePrompt,
)
from session_mgmt.jobs import job_handler, rescue_jobs, run_job
from session_mgmt.models import Job
from session_mgmt.sessions import session_manager
from tests.jobs.handlers import return_rubbish
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def make(job_type, parameters=None, *, session=None, max_retries=None):
    job, _ = Job.objects.create_if_not_exists(
        job_type, "target", parameters, session=session, max_retries=max_retries
    )
    return job


@pytest.fixture
def session():
    return session_manager.start(GenerationRequest(story_text="x", num_scenes=3))


def test_a_job_runs_and_keeps_its_result():
    job = make("echo", {"a": 1})
    assert run_job(job.pk) is True
    job.refresh_from_db()
    assert (job.status, job.attempt, job.progress) == (JobStatus.COMPLETED, 1, 1.0)
    assert job.result == {"parameters": {"a": 1}}
    assert job.started_at <= job.finished_at
    assert job.lease_expires_at is None


def test_a_second_delivery_does_nothing():
    job = make("echo")
    assert [run_job(job.pk) for _ in range(3)] == [True, False, False]
    assert Job.objects.get().attempt == 1


def test_a_job_that_is_not_there_is_nothing_to_run():
    assert run_job(4711) is False


def test_a_job_of_a_type_that_this_process_does_not_know_stays_pending():
    job = make("from_another_process")
    assert run_job(job.pk) is False
    job.refresh_from_db()
    assert (job.status, job.dispatched_at) == (JobStatus.PENDING, None)


def test_racing_deliveries_run_the_handler_once(register):
    runs = []
    register("count", lambda job: runs.append(job.job.attempt))
    job = make("count")
    gate = threading.Barrier(4)

    def deliver():
        try:
            gate.wait()
            run_job(job.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [1]


def test_the_session_follows_its_job(session):
    job = make("three_scenes", session=session)
    run_job(job.pk)
    session = session_manager.get_session(session.session_id)
    assert session.status is GenerationStatus.COMPLETED
    assert [scene.scene_number for scene in session.scenes] == [1, 2, 3]
    assert session.progress.current_step == 3, "its end is the end of its progress"
    kinds = list(session.events.values_list("kind", "data__status"))
    assert kinds[1] == ("status_changed", "processing")
    assert kinds[-1] == ("status_changed", "completed")


def test_a_failed_attempt_waits_and_the_last_one_fails_for_good(session):
    job = make("raise_error", {"text": "bad luck"}, session=session, max_retries=1)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.PENDING, 1)
    assert job.run_after > timezone.now()
    assert job.error_message == "ValueError: bad luck"
    assert session_manager.get_session(session.pk).status is GenerationStatus.PENDING
    assert run_job(job.pk) is False, "it is not due yet"

    Job.objects.update(run_after=None)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.FAILED, 2)
    failed = session_manager.get_session(session.pk)
    assert failed.status is GenerationStatus.FAILED
    assert failed.error_message == f"Job {job.pk} failed in attempt 2."


def test_the_handler_says_how_often_unless_the_job_does(register):
    def fail(job):
        raise ValueError

    register("strict", fail, max_retries=0)
    job = make("strict")
    run_job(job.pk)
    assert Job.objects.get().status is JobStatus.FAILED


class UnreadableError(Exception):
    def __str__(self):
        raise RuntimeError


def test_an_error_whose_text_cannot_be_read_ends_the_attempt_as_well(register):
    def fail(job):
        raise UnreadableError

    register("unreadable", fail, max_retries=0)
    run_job(make("unreadable").pk)
    job = Job.objects.get()
    assert job.status is JobStatus.FAILED
    assert job.error_message == "UnreadableError, whose text cannot be read (RuntimeError)"


def test_what_an_earlier_attempt_complained_of_is_gone_when_the_job_completes(register):
    def fail_once(job):
        if job.job.attempt == 1:
            raise ValueError

    register("fail_once", fail_once)
    job = make("fail_once")
    run_job(job.pk)
    Job.objects.update(run_after=None)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error_message) == (JobStatus.COMPLETED, "")


def test_a_scene_without_a_session_is_an_error_not_a_loss(register):
    register("scene", lambda job: job.save_scene(ScenePrompt(scene_number=1)), max_retries=0)
    run_job(make("scene").pk)
    job = Job.objects.get()
    assert job.status is JobStatus.FAILED
    assert "SessionNotFoundError" in job.error_message


def test_the_last_of_several_jobs_ends_their_session(session):
    jobs = [Job.objects.create_if_not_exists("echo", target, session=session)[0] for target in "ab"]
    run_job(jobs[0].pk)
    assert session_manager.get_session(session.pk).status is GenerationStatus.PROCESSING
    run_job(jobs[1].pk)
    assert session_manager.get_session(session.pk).status is GenerationStatus.COMPLETED


def test_a_message_that_came_too_early_is_sent_again(register):
    job = make("raise_error")
    run_job(job.pk)
    assert Job.objects.get().dispatched_at is not None
    assert run_job(job.pk) is False
    assert Job.objects.get().dispatched_at is None


@pytest.mark.parametrize("message", ["a\x00b", "\ud800", "x" * 100_000])
def test_an_error_that_cannot_be_stored_is_cleaned(register, message):
    def fail(job):
        raise ValueError(message)

    register("hostile", fail, max_retries=0)
    run_job(make("hostile").pk)
    job = Job.objects.get()
    assert job.status is JobStatus.FAILED
    assert job.error_message.startswith("ValueError: ")


def test_a_result_that_is_not_json_fails_the_attempt(register):
    register("rubbish", return_rubbish, max_retries=0)
    run_job(make("rubbish").pk)
    job = Job.objects.get()
    assert job.status is JobStatus.FAILED
    assert "result: cannot be written as JSON" in job.error_message


def test_the_next_attempt_finds_the_scenes_of_the_last_one(register, session):
    drawn = []

    def draw(job):
        for number in (1, 2):
            if number in job.saved_scenes:
                continue
            drawn.append(number)
            job.save_scene(ScenePrompt(scene_number=number))
            if job.job.attempt == 1:
                raise RuntimeError

    register("draw", draw)
    job = make("draw", session=session)
    run_job(job.pk)
    Job.objects.update(run_after=None)
    run_job(job.pk)
    assert drawn == [1, 2]
    assert Job.objects.get().status is JobStatus.COMPLETED


def test_a_zombie_can_write_nothing_once_its_job_was_taken_over(register, session):
    tried = {}

    def hang(job):
        if job.job.attempt > 1:
            return "second"
        Job.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
        assert rescue_jobs().taken_over == 1
        Job.objects.update(run_after=None)
        assert run_job(job.job.pk) is True
        for name, write in {
            "progress": lambda: job.progress(1, 2),
            "scene": lambda: job.save_scene(ScenePrompt(scene_number=1)),
        }.items():
            with pytest.raises(LeaseLostError) as lost:
                write()
            tried[name] = lost.value.attempt
        return "first"

    register("hang", hang)
    run_job(make("hang", session=session).pk)
    assert tried == {"progress": 1, "scene": 1}
    job = Job.objects.get()
    assert (job.status, job.attempt, job.result) == (JobStatus.COMPLETED, 2, "second")
    session = session_manager.get_session(session.pk)
    assert (session.scenes, session.progress) == ([], None)


def test_a_zombie_that_raises_does_not_fail_the_attempt_that_took_over(register):
    def hang(job):
        if job.job.attempt == 1:
            Job.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
            rescue_jobs()
            raise ValueError

    register("hang", hang)
    run_job(make("hang").pk)
    job = Job.objects.get()
    assert (job.status, job.attempt) == (JobStatus.PENDING, 1)
    assert job.error_message == "Attempt 1 ended without a word"


def test_a_handler_that_blocks_keeps_its_lease(register, settings):
    settings.SESSION_MGMT = {"LEASE": 0.6}
    renewed = []

    def block(job):
        first = Job.objects.get().lease_expires_at
        wait_until(lambda: Job.objects.get().lease_expires_at > first + timedelta(seconds=0.5))
        renewed.append(rescue_jobs().taken_over)

    register("block", block)
    run_job(make("block").pk)
    assert renewed == [0]
    assert Job.objects.get().status is JobStatus.COMPLETED
    assert not [t for t in threading.enumerate() if t.name.startswith("lease-of-job")]


def test_two_handlers_of_one_name_are_refused(register):
    with pytest.raises(ConfigurationError, match=r"'echo' is handled by tests.jobs.handlers.echo"):
        job_handler("echo")(return_rubbish)


def test_a_short_job_takes_few_statements(django_assert_num_queries):
    job = make("echo")
    with django_assert_num_queries(6):  # claim and end, each in a transaction of its own
        run_job(job.pk)
