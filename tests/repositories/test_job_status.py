"""Who is no attempt of a job moves it only as far as no attempt notices."""

import pytest

from session_mgmt import JobStatus
from session_mgmt.models import Job
from session_mgmt.repositories import job_repository
from session_mgmt.signals import jobs_pending

pytestmark = pytest.mark.django_db

FINAL = [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED]


@pytest.fixture
def repo():
    with job_repository() as repo:
        yield repo


@pytest.fixture
def job(repo):
    return repo.create_job("t", "a")


def values(job, *names):
    stored = Job.objects.get(pk=job.pk)
    return tuple(getattr(stored, name) for name in names)


def test_a_worker_of_ones_own_starts_reports_and_completes(repo, job):
    assert repo.update_job_status(job.id, "running")
    assert values(job, "status", "attempt", "lease_expires_at") == (JobStatus.RUNNING, 1, None)
    assert values(job, "started_at") != (None,)
    assert repo.update_job_status(job.id, "running", progress=0.5, current_step="Reading")
    assert values(job, "attempt", "progress", "current_step") == (1, 0.5, "Reading")
    assert repo.update_job_status(job.id, JobStatus.COMPLETED)
    assert values(job, "status", "progress", "error_message") == (JobStatus.COMPLETED, 1.0, "")
    assert values(job, "finished_at") != (None,)


def test_a_failure_is_told_and_cleaned(repo, job):
    assert repo.update_job_status(job.id, "failed", 0.25, error_message="no\x00 ink")
    assert values(job, "status", "progress") == (JobStatus.FAILED, 0.25)
    assert values(job, "error_message")[0].startswith("no")
    assert "\x00" not in values(job, "error_message")[0]


def test_only_one_can_start_a_job(repo, job, caplog):
    assert repo.update_job_status(job.id, "running") is True
    assert repo.update_job_status(job.id, "running") is False
    assert f"Job {job.id} was not moved to running: it is running, in attempt 1" in caplog.text
    assert values(job, "attempt") == (1,)


def test_a_job_that_is_not_due_cannot_be_started(repo, job, caplog):
    Job.objects.update(run_after="2099-01-01T00:00:00Z")
    assert repo.update_job_status(job.id, "running") is False
    assert repo.update_job_status(job.id, "running", 0.5) is False
    assert "may not start yet" in caplog.text
    assert values(job, "status", "progress") == (JobStatus.PENDING, 0.0)


def test_what_was_started_here_is_neither_delivered_nor_rescued(repo, job):
    assert repo.update_job_status(job.id, "running")
    assert Job.objects.claim(job.id) is None
    assert not Job.objects.all().abandoned().exists()
    assert not Job.objects.all().undelivered().exists()


def test_what_was_started_here_can_be_given_back_and_is_dispatched(
    repo, job, django_capture_on_commit_callbacks
):
    told = []
    receiver = lambda jobs, **_: told.extend(job.pk for job in jobs)  # noqa: E731
    jobs_pending.connect(receiver)
    assert repo.update_job_status(job.id, "running")
    Job.objects.update(dispatched_at="2026-01-01T00:00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        assert repo.update_job_status(job.id, "pending", current_step="Again")
        assert repo.update_job_status(job.id, "pending", current_step="And again")
    jobs_pending.disconnect(receiver)
    assert told == [job.id]
    assert values(job, "status", "dispatched_at") == (JobStatus.PENDING, None)
    assert values(job, "current_step") == ("And again",)
    assert Job.objects.claim(job.id).attempt == 2


@pytest.mark.parametrize("status", ["pending", "running", "completed", "failed"])
def test_a_job_that_an_attempt_owns_is_left_to_it(repo, job, status, caplog):
    claimed = Job.objects.claim(job.id)
    before = Job.objects.values().get()
    assert repo.update_job_status(job.id, status, 0.9, "Mine", "Yours") is False
    assert Job.objects.values().get() == before
    assert f"was not moved to {status}: it is running, in attempt 1" in caplog.text
    assert Job.objects.all().owned_by(claimed).exists()


def test_cancelling_a_job_that_an_attempt_owns_asks_it_to_stop(repo, job):
    Job.objects.claim(job.id)
    assert repo.update_job_status(job.id, "cancelled") is True
    assert values(job, "status") == (JobStatus.RUNNING,)
    assert values(job, "cancel_requested_at") != (None,)


def test_cancelling_a_job_that_nobody_owns_ends_it(repo, job):
    started = repo.create_job("t", "b")
    assert repo.update_job_status(started.id, "running")
    for one in (job, started):
        assert repo.update_job_status(one.id, "cancelled", error_message="Not needed") is True
        assert values(one, "status", "error_message") == (JobStatus.CANCELLED, "Not needed")


@pytest.mark.parametrize("ended", FINAL)
@pytest.mark.parametrize("status", JobStatus.values)
def test_an_ended_job_stays_as_it_is(repo, job, ended, status, caplog):
    Job.objects.update(status=ended)
    before = Job.objects.values().get()
    assert repo.update_job_status(job.id, status, progress=0.1) is (status == ended)
    assert Job.objects.values().get() == before
    assert ("was not moved" in caplog.text) is (status != ended)


@pytest.mark.parametrize("unknown", [0, -1, 10**6, 2**63, pytest.param(10**5000, id="long")])
def test_an_unknown_job_is_false_with_a_warning(repo, unknown, caplog):
    assert repo.update_job_status(unknown, "failed") is False
    assert "there is no such job" in caplog.text
