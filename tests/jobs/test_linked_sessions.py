"""A session starts with its first job, waits while all wait, and ends with the last of them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from session_mgmt import GenerationStatus, JobStatus
from session_mgmt.jobs import cancel_job, run_job
from session_mgmt.models import Job
from session_mgmt.sessions import session_manager
from session_mgmt.states import ACTIVE_JOB_STATUSES
from tests.jobs.making import make, make_due, make_session, status_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fail(register):
    def fail(job):
        raise ValueError

    register("fail", fail)


def test_the_session_waits_with_its_only_job(fail):
    session = make_session()
    run_job(make("fail", session=session).pk)
    assert status_of(session) is GenerationStatus.PENDING


def test_the_session_does_not_wait_while_another_of_its_jobs_runs(fail):
    session = make_session()
    running = make("echo", target="running", session=session)
    Job.objects.claim(running.pk)
    run_job(make("fail", session=session).pk)
    assert status_of(session) is GenerationStatus.PROCESSING


def test_one_job_that_fails_for_good_fails_the_session_and_the_others_go_on(fail):
    session = make_session()
    other = make("echo", target="other", session=session)
    run_job(make("fail", session=session, max_retries=0).pk)
    assert status_of(session) is GenerationStatus.FAILED
    run_job(other.pk)
    assert status_of(other) is JobStatus.COMPLETED
    assert status_of(session) is GenerationStatus.FAILED


def test_a_new_run_completes_a_session_that_was_opened_again(fail):
    session = make_session()
    failed = make("fail", session=session, max_retries=0)
    run_job(failed.pk)
    session_manager.reopen(session.pk)
    Job.objects.filter(pk=failed.pk).update(job_type="echo")
    run_job(make("echo", session=session).pk)
    assert status_of(session) is GenerationStatus.COMPLETED


def test_a_session_that_was_opened_again_fails_for_a_job_that_nobody_repeated(fail):
    session = make_session()
    run_job(make("fail", session=session, max_retries=0).pk)
    session_manager.reopen(session.pk)
    run_job(make("echo", target="other", session=session).pk)
    assert status_of(session) is GenerationStatus.FAILED


def test_a_session_that_was_removed_takes_its_jobs_along(register):
    written = []

    def work(job):
        session_manager.remove_session(job.session.pk)
        written.append(job.cancelled)

    register("work", work)
    job = make("work", session=make_session())
    assert run_job(job.pk) is True
    assert written == [True]
    assert not Job.objects.exists()


def test_jobs_that_end_at_the_same_moment_end_their_session_once(register):
    gate = threading.Barrier(4)
    register("meet", lambda job: gate.wait(10))
    for _ in range(5):
        session = make_session()
        jobs = [make("meet", target=str(number), session=session) for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run_and_close, jobs))
        assert status_of(session) is GenerationStatus.COMPLETED
        statuses = session.events.filter(kind="status_changed").values_list("data__status")
        assert [status for (status,) in statuses.order_by("seq")] == ["processing", "completed"]
        Job.objects.all().delete()


def run_and_close(job):
    try:
        return run_job(job.pk)
    finally:
        connection.close()


def cancel_and_close(change):
    try:
        return change()
    finally:
        connection.close()


def test_cancellations_that_race_with_attempts_leave_nothing_half_done(register, fail):
    """Sessions and jobs are cancelled from both sides while attempts begin, fail and end."""
    for _ in range(6):
        session = make_session()
        jobs = [
            make(job_type, target=f"{job_type}{number}", session=session)
            for number in range(2)
            for job_type in ("echo", "fail")
        ]
        changes = [
            lambda session=session: session_manager.update_session_status(
                session.pk, GenerationStatus.CANCELLED
            ),
            lambda jobs=jobs: cancel_job(jobs[0]),
        ]
        with ThreadPoolExecutor(6) as pool:
            attempts = [pool.submit(run_and_close, job) for job in jobs]
            cancelled = [pool.submit(cancel_and_close, change) for change in changes]
            for future in (*attempts, *cancelled):
                future.result()
        assert status_of(session) in (GenerationStatus.CANCELLED, GenerationStatus.COMPLETED)
        make_due()
        for job in jobs:
            run_job(job.pk)
        assert not Job.objects.filter(session=session, status__in=ACTIVE_JOB_STATUSES).exists()
