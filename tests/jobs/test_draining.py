"""A worker that is told to stop gives its job back, no attempt is spent and nothing done again."""

import os
import signal

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django_tasks_db.models import DBTaskResult

from example_project.storyboard.services import start_storyboard
from session_mgmt import GenerationRequest, GenerationStatus, JobStatus, ScenePrompt
from session_mgmt.exceptions import WorkerStoppingError
from session_mgmt.jobs import GiveUp, drain, run_job
from session_mgmt.models import Job, Scene, SessionEvent
from session_mgmt.sessions import session_manager
from tests.jobs.making import make, make_session, status_of
from tests.processes import running, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = ["manage.py", "db_worker", "--interval", "0.1", "--no-startup-delay"]


@pytest.fixture
def stop_signals():
    """Handle SIGTERM as a worker does, and note what arrived."""
    arrived = []
    before = signal.signal(signal.SIGTERM, lambda number, _: arrived.append(number))
    yield arrived
    signal.signal(signal.SIGTERM, before)


def be_told_to_stop():
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_attempt_ends_at_its_next_write_which_counts(register, stop_signals):
    def work(job):
        if not job.saved_scenes:
            be_told_to_stop()
            job.save_scene(ScenePrompt(scene_number=1))
            raise AssertionError("not reached")
        return "done"

    register("work", work, max_retries=0)
    session = make_session()
    job = make("work", session=session)
    DBTaskResult.objects.all().delete()
    run_job(job.pk)
    assert stop_signals == [signal.SIGTERM], "the worker heard it too"
    job.refresh_from_db()
    assert (job.status, job.attempt, job.given_back) == (JobStatus.PENDING, 1, 1)
    assert job.run_after is None
    assert status_of(session) is GenerationStatus.PENDING
    assert DBTaskResult.objects.get().args_kwargs["args"][0] == job.pk, "it was sent at once"

    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.result) == (JobStatus.COMPLETED, 2, "done")


@pytest.mark.parametrize("call", ["cancelled", "step", "progress", "track"])
def test_every_way_to_come_past_gives_the_job_back(register, stop_signals, call):
    def work(job):
        be_told_to_stop()
        {
            "cancelled": lambda: job.cancelled,
            "step": lambda: job.step("a", lambda: 1 / 0),
            "progress": lambda: job.progress(1, 2),
            "track": lambda: list(job.track([1])),
        }[call]()

    register("work", work)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.given_back, job.error_message) == (JobStatus.PENDING, 1, "")


def test_a_handler_that_comes_to_its_end_is_done(register, stop_signals):
    register("work", lambda job: be_told_to_stop())
    job = make("work")
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED


def test_a_transaction_of_the_handlers_own_is_not_broken_off(register, stop_signals):
    def work(job):
        with job.atomic():
            be_told_to_stop()
            job.step("a", lambda: 1)
        job.progress(1, 1)

    register("work", work)
    job = make("work")
    run_job(job.pk)
    assert job.steps.get().result == 1
    assert status_of(job) is JobStatus.PENDING


def test_the_signal_does_what_it_did_before_once_the_attempt_has_ended(register):
    def work(job):
        assert signal.getsignal(signal.SIGTERM) is not before
        raise ValueError

    register("work", work)
    before = signal.getsignal(signal.SIGTERM)
    run_job(make("work").pk)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_process_is_handed_on_and_the_attempt_is_spent(register, end):
    def work(job):
        raise end

    register("work", work, max_retries=1)
    job = make("work")
    for status in (JobStatus.PENDING, JobStatus.FAILED):
        Job.objects.update(run_after=None)
        with pytest.raises(end):
            run_job(job.pk)
        assert status_of(job) is status
    job.refresh_from_db()
    assert (job.attempt, job.given_back) == (2, 0)
    assert job.error_message == f"The handler ended its process: {end.__name__}"


def test_a_worker_that_is_forced_to_stop_gives_its_job_back(register):
    def force(number, frame):
        raise SystemExit

    def work(job):
        be_told_to_stop()

    before = signal.signal(signal.SIGTERM, force)
    register("work", work, max_retries=0)
    job = make("work")
    try:
        with pytest.raises(SystemExit):
            run_job(job.pk)
    finally:
        signal.signal(signal.SIGTERM, before)
    job.refresh_from_db()
    assert (job.status, job.given_back) == (JobStatus.PENDING, 1)


@pytest.mark.parametrize("wrapped", [ValueError, GiveUp])
def test_a_handler_that_makes_an_error_of_it_gives_its_job_back_too(
    register, stop_signals, wrapped
):
    def work(job):
        be_told_to_stop()
        try:
            job.progress(1, 2)
        except Exception as error:
            raise wrapped("no luck") from error

    register("work", work, max_retries=0)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.given_back, job.error_message) == (JobStatus.PENDING, 1, "")


def test_a_handler_is_not_begun_when_the_worker_is_to_stop(register, monkeypatch):
    runs = []
    register("work", lambda job: runs.append(1))
    monkeypatch.setattr(drain, "_FLAG", [1])
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (runs, job.status, job.given_back) == ([], JobStatus.PENDING, 1)


def test_an_engine_that_runs_jobs_at_once_does_not_run_what_was_given_back(
    register, stop_signals, settings
):
    settings.SESSION_MGMT = {"JOB_ENGINE": "tests.jobs.engines.EagerEngine"}
    attempts = []

    def work(job):
        attempts.append(job.job.attempt)
        be_told_to_stop()
        job.progress(1, 2)

    register("work", work)
    job = make("work")
    job.refresh_from_db()
    assert (attempts, job.status, job.given_back) == ([1], JobStatus.PENDING, 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_that_ends_a_process_does_so_after_the_attempt_or_when_it_comes_again(times):
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with drain.StopSignals():
            for _ in range(times):
                be_told_to_stop()
            if times > 1:
                os._exit(1)
        os._exit(2)
    assert os.waitpid(pid, 0)[1] == signal.SIGTERM, "ended by the signal itself"


def test_a_process_that_a_handler_forks_can_be_stopped(register):
    ended = []

    def work(job):
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(writing, b"ready")
            signal.pause()
            os._exit(0)
        os.read(reading, 5)
        os.kill(pid, signal.SIGTERM)
        ended.append(os.WTERMSIG(os.waitpid(pid, 0)[1]))

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        register("work", work)
        run_job(make("work").pk)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == [signal.SIGTERM]


def test_a_job_that_is_given_back_for_ever_keeps_its_attempts(register, stop_signals):
    tried = []

    def work(job):
        tried.append(job.job.attempt)
        if len(tried) < 4:
            be_told_to_stop()
            job.progress(1, 2)
        raise ValueError

    register("work", work, max_retries=1)
    job = make("work")
    for _ in range(6):
        Job.objects.update(run_after=None)
        run_job(job.pk)
    job.refresh_from_db()
    assert tried == [1, 2, 3, 4, 5]
    assert (job.status, job.given_back) == (JobStatus.FAILED, 3)


def test_a_pool_learns_of_it_through_its_parent(register):
    """As in a pool of forked processes, of which only the parent gets the signal."""
    said = []

    def work(job):
        pid = os.fork()
        if not pid:
            drain.request_drain()
            os._exit(0)
        os.waitpid(pid, 0)
        try:
            job.progress(1, 2)
        except WorkerStoppingError as error:
            said.append(error.job_id)
            raise

    register("work", work)
    job = make("work")
    try:
        run_job(job.pk)
    finally:
        drain._FLAG[0] = 0
    assert said == [job.pk]


def test_a_real_worker_gives_its_story_back_and_another_finishes_it(story):
    owner = get_user_model().objects.create_user("anna")
    session = start_storyboard(GenerationRequest(story_text=story, num_scenes=5), owner=owner)
    quick = {"STORYBOARD_SECONDS_PER_SCENE": "0.4"}  # the lease is a minute: nobody waits for it
    with running(*WORKER, **quick) as worker:
        wait_until(lambda: Scene.objects.count() >= 2)
        worker.terminate()
        worker.wait(timeout=20)
    job = Job.objects.get()
    assert (job.status, job.attempt, job.given_back) == (JobStatus.PENDING, 1, 1)
    saved = Scene.objects.count()
    assert saved < 5
    with running(*WORKER, **quick):
        wait_until(
            lambda: session_manager.get_session(session.pk).status is GenerationStatus.COMPLETED
        )
    assert SessionEvent.objects.filter(kind="scene_added").count() == 5, "none was made twice"
    job.refresh_from_db()
    assert (job.attempt, job.given_back) == (2, 1)
    call_command("rescue_jobs", dry_run=True)
