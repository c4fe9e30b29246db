"""A job goes over a real broker to a real worker and is done once, whatever dies meanwhile (P2)."""

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from session_mgmt import GenerationRequest, JobStatus
from session_mgmt.jobs import rescue_jobs
from session_mgmt.jobs.dispatch import dispatch
from session_mgmt.jobs.engines import get_engine
from session_mgmt.models import Job, Progress
from session_mgmt.sessions import session_manager
from tests.engines.jobs import PATIENCE, make, wait_for_status, wait_for_step
from tests.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


def test_a_job_that_commits_is_run_by_the_worker(notes):
    with transaction.atomic():
        job = make("engines_note", parameters={"file": str(notes)})
    wait_for_status(job)
    assert (job.attempt, job.result) == (1, {"attempt": 1})
    assert notes.read_text() == "target\n"


def test_a_job_that_raised_is_tried_again_without_a_rescue():
    job = wait_for_status(make("engines_fail_once"))
    assert (job.attempt, job.result) == (2, {"attempt": 2})


def test_a_second_message_does_nothing(notes):
    parameters = {"file": str(notes)}
    job = make("engines_note", "first", parameters)
    for _ in range(3):
        get_engine().deliver(job.pk, "default", priority=0, run_after=None)
    # The worker does one thing at a time: when it has done this it has seen all of them.
    wait_for_status(make("engines_note", "last", parameters))
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
    assert notes.read_text() == "first\nlast\n"


def test_more_urgent_jobs_come_first(engine, tmp_path, notes):
    gate = tmp_path / "gate"
    wait_for_step(make("engines_hold", parameters={"gate": str(gate)}), "holding")
    jobs = {}
    for number, priority in enumerate((-100, 0, 100)):
        jobs[priority] = Job.objects.create(
            job_type="engines_note",
            target_id=str(priority),
            run_number=number + 1,
            parameters={"file": str(notes)},
            priority=priority,
        )
        dispatch([jobs[priority]])
    gate.touch()
    for job in jobs.values():
        wait_for_status(job)
    order = [int(line) for line in notes.read_text().split()]
    assert order == ([100, 0, -100] if engine.keeps_order else [-100, 0, 100])


@pytest.mark.skipif(connection.vendor == "sqlite", reason="there are no connections to a file")
def test_the_worker_shares_no_connection_with_its_parent():
    job = wait_for_status(make("engines_socket"))
    assert job.result["socket"].startswith("socket:[")
    assert job.result["socket"] not in job.result["parent"]


def test_a_worker_that_stops_gives_its_job_to_the_next(worker):
    job = wait_for_step(make("engines_go_on"), "going on")
    worker.stop()
    job.refresh_from_db()
    assert (job.status, job.attempt, job.given_back) == (JobStatus.PENDING, 1, 1)
    worker.ensure()
    wait_for_status(job)
    assert (job.attempt, job.result) == (2, {"attempt": 2})


def test_a_worker_that_stops_writes_what_it_has_buffered(engine, worker):
    session = session_manager.start(GenerationRequest(story_text="x"))
    wait_for_status(make("engines_buffer", session=session))
    if engine.name != "rq":  # whose child ends with the job
        worker.stop()
    wait_until(lambda: Progress.objects.filter(session=session, current_step=5).exists())


def test_a_job_whose_worker_was_killed_is_done_by_the_next(worker, settings):
    job = wait_for_step(make("engines_hang_once"), "hanging")
    worker.kill()
    assert Job.objects.get().status is JobStatus.RUNNING
    assert rescue_jobs().taken_over == 0, "its lease holds"
    Job.objects.update(lease_expires_at=Now())
    worker.ensure()
    # What the engine keeps until the job is due may have died with the worker.
    settings.SESSION_MGMT = settings.SESSION_MGMT | {"REDISPATCH_AFTER": 1}

    def done():
        rescue_jobs()
        job.refresh_from_db()
        return job.status is JobStatus.COMPLETED

    wait_until(done, PATIENCE)
    assert (job.attempt, job.result) == (2, {"attempt": 2})
