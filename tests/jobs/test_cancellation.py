"""A cancelled job stops: at once if it waits, at the handler's next word if it runs."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from session_mgmt import GenerationStatus, InvalidInputError, JobStatus, ScenePrompt
from session_mgmt.exceptions import JobCancelledError
from session_mgmt.jobs import JobRequest, cancel_job, rescue_jobs, run_job
from session_mgmt.jobs.attempts import abandon_attempt, begin_attempt
from session_mgmt.models import Job
from session_mgmt.sessions import session_manager
from tests.jobs.making import let_lease_run_out, make, make_due, make_session, status_of
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_job_that_waits_is_cancelled_at_once_and_its_session_with_it():
    session = make_session()
    job = make("echo", session=session)
    assert cancel_job(job) is True
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.CANCELLED, 0)
    assert job.finished_at is not None
    assert status_of(session) is GenerationStatus.CANCELLED
    assert run_job(job.pk) is False


def test_a_handler_that_asks_and_returns_leaves_its_job_cancelled(register):
    def work(job):
        before = job.cancelled
        cancel_job(job.job)
        return {"before": before, "after": job.cancelled}

    register("work", work)
    session = make_session()
    run_job(make("work", session=session).pk)
    job = Job.objects.get()
    assert (job.status, job.result) == (JobStatus.CANCELLED, None)
    assert status_of(session) is GenerationStatus.CANCELLED


def test_writes_after_the_cancellation_are_refused_even_if_the_handler_does_not_care(register):
    refused = []

    def work(job):
        cancel_job(job.job.pk)
        for write in (
            lambda: job.progress(1, 2),
            lambda: job.save_scene(ScenePrompt(scene_number=1)),
            lambda: job.step("a", dict),
            lambda: job.atomic().__enter__(),
        ):
            try:
                write()
            except JobCancelledError as error:
                refused.append(error.job_id)
        return "done"

    register("work", work)
    session = make_session()
    job = make("work", session=session)
    run_job(job.pk)
    assert refused == [job.pk] * 4
    assert status_of(job) is JobStatus.CANCELLED
    session = session_manager.get_session(session.pk)
    assert (session.scenes, session.progress) == ([], None)
    assert not job.steps.exists()


def test_a_step_is_not_begun_once_the_job_is_cancelled(register):
    paid = []

    def work(job):
        cancel_job(job.job)
        job.step("pay", lambda: paid.append(1))

    register("work", work)
    job = make("work")
    run_job(job.pk)
    assert (paid, status_of(job)) == ([], JobStatus.CANCELLED)


def test_a_cancelled_job_that_raises_is_not_tried_again(register):
    def work(job):
        cancel_job(job.job)
        raise ValueError

    register("work", work)
    job = make("work", max_retries=5)
    run_job(job.pk)
    assert status_of(job) is JobStatus.CANCELLED


def test_a_handler_that_never_listens_has_done_its_work(register):
    register("work", lambda job: cancel_job(job.job))
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.result) == (JobStatus.COMPLETED, True)


def test_a_cancelled_job_whose_worker_died_is_cancelled_by_the_rescue():
    session = make_session()
    job = make("echo", session=session, max_retries=5)
    Job.objects.claim(job.pk)
    cancel_job(job)
    assert status_of(job) is JobStatus.RUNNING
    let_lease_run_out()
    rescue_jobs()
    assert status_of(job) is JobStatus.CANCELLED
    assert status_of(session) is GenerationStatus.CANCELLED


def test_cancelling_again_is_harmless_and_what_has_ended_stays():
    job = make("echo")
    Job.objects.claim(job.pk)
    assert cancel_job(job) is True
    asked = Job.objects.get().cancel_requested_at
    assert cancel_job(job) is True
    assert Job.objects.get().cancel_requested_at == asked
    done = make("echo", target="other")
    run_job(done.pk)
    assert cancel_job(done) is False
    assert status_of(done) is JobStatus.COMPLETED
    assert cancel_job(4711) is False


@pytest.mark.parametrize("job", [None, "1", True, 1.0, Job()])
def test_what_is_no_job_is_refused(job):
    with pytest.raises(InvalidInputError, match="job: must be"):
        cancel_job(job)


def test_cancelling_a_session_cancels_its_jobs_and_no_others(register):
    told = []

    def work(job):
        session_manager.update_session_status(job.session.pk, GenerationStatus.CANCELLED)
        told.append(job.cancelled)

    register("work", work)
    session = make_session()
    running = make("work", session=session)
    waiting = make("echo", target="waiting", session=session)
    stranger = make("echo", target="stranger", session=make_session())
    done = make("echo", target="done", session=session)
    run_job(done.pk)
    run_job(running.pk)
    assert told == [True]
    assert status_of(running) is status_of(waiting) is JobStatus.CANCELLED
    assert status_of(stranger) is JobStatus.PENDING
    assert status_of(done) is JobStatus.COMPLETED
    assert status_of(session) is GenerationStatus.CANCELLED


def test_a_session_that_cannot_be_cancelled_keeps_its_jobs():
    session = make_session()
    job = make("echo", session=session)
    session_manager.update_session_status(session.pk, GenerationStatus.COMPLETED)
    assert session_manager.update_session_status(session.pk, GenerationStatus.CANCELLED) is False
    assert status_of(job) is JobStatus.PENDING


def test_a_job_that_comes_too_late_for_its_cancelled_session_is_not_started(register):
    runs = []
    register("work", lambda job: runs.append(1))
    session = make_session()
    session_manager.update_session_status(session.pk, GenerationStatus.CANCELLED)
    job = make("work", session=session)
    assert run_job(job.pk) is False
    assert runs == []
    assert status_of(job) is JobStatus.CANCELLED


def test_a_session_with_one_job_cancelled_is_not_completed_by_the_others():
    session = make_session()
    jobs = [make("echo", target=target, session=session) for target in "ab"]
    cancel_job(jobs[0])
    assert status_of(session) is GenerationStatus.PENDING
    run_job(jobs[1].pk)
    assert status_of(session) is GenerationStatus.CANCELLED


def test_a_later_run_makes_up_for_a_cancelled_one():
    session = make_session()
    other = make("echo", target="other", session=session)
    cancel_job(make("echo", session=session))
    again = make("echo", session=session)
    run_job(other.pk)
    run_job(again.pk)
    assert status_of(session) is GenerationStatus.COMPLETED


def test_a_job_that_was_asked_to_stop_does_not_come_back_from_a_retry(register):
    register("fail", lambda job: 1 / 0)
    job = make("fail", max_retries=5)
    claimed = Job.objects.claim(job.pk)
    cancel_job(job)
    let_lease_run_out()
    # The rescue read the row before the cancellation.
    assert claimed.cancel_requested_at is None
    assert abandon_attempt(claimed) is True
    assert status_of(job) is JobStatus.CANCELLED
    make_due()
    assert run_job(job.pk) is False


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_job_that_was_claimed_while_the_cancellation_waited_is_cancelled_too():
    session = make_session()
    first = make("echo", target="first", session=session)
    Job.objects.claim(first.pk)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            list(Job.objects.filter(pk=first.pk).select_for_update())
            cancelled = pool.submit(cancel_in_a_thread, session.pk)
            wait_until(is_somebody_waiting)
            second = pool_claim(session)
        assert cancelled.result(timeout=20) is True
    assert Job.objects.get(pk=second).cancel_requested_at is not None


def is_somebody_waiting():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()


def cancel_in_a_thread(session_id):
    try:
        return session_manager.update_session_status(session_id, GenerationStatus.CANCELLED)
    finally:
        connection.close()


def pool_claim(session):
    """Create and claim another job, on a connection of its own."""

    def claim():
        try:
            job = make("echo", target="second", session=session)
            return begin_attempt(job.pk, ["echo"], "default").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(claim).result(timeout=20)


def test_cancelling_a_cancelled_session_again_finds_what_was_missed():
    session = make_session()
    session_manager.update_session_status(session.pk, GenerationStatus.CANCELLED)
    job = make("echo", session=session)
    session_manager.update_session_status(session.pk, GenerationStatus.CANCELLED)
    assert status_of(job) is JobStatus.CANCELLED


def test_a_session_of_very_many_jobs_can_be_cancelled():
    session = make_session()
    requests = [JobRequest("nobody_knows", str(n), session=session) for n in range(2_500)]
    Job.objects.create_many_if_not_exist(requests)
    session_manager.update_session_status(session.pk, GenerationStatus.CANCELLED)
    assert Job.objects.filter(status=JobStatus.CANCELLED).count() == 2_500
