"""What seed 002 shows of jobs, as the document has it and in its order; only the imports differ."""

import inspect
import logging

import pytest
from django.db import OperationalError, connection

from session_mgmt.db import db_retry, get_db_session
from session_mgmt.models import Job
from session_mgmt.repositories import JobRepository, get_job_repository, job_repository

pytestmark = pytest.mark.django_db(transaction=True)

METHODS = {
    "create_job": ["job_type", "target_id", "parameters"],
    "create_job_if_not_exists": ["job_type", "target_id", "parameters", "check_statuses"],
    "job_exists": ["job_type", "target_id", "statuses"],
    "jobs_exist_batch": ["job_type", "target_ids", "statuses"],
    "get_pending_jobs": ["job_type", "limit"],
    "get_jobs_by_target": ["job_type", "target_id"],
    "update_job_status": ["job_id", "status", "progress", "current_step", "error_message"],
    "count_jobs_by_status": ["job_type"],
}


@pytest.mark.parametrize("name", METHODS)
def test_arguments_have_the_names_and_the_order_of_the_seed(name):
    names = list(inspect.signature(getattr(JobRepository, name)).parameters)
    assert names[1 : 1 + len(METHODS[name])] == METHODS[name]


def test_2_idempotent_job_creation_new(capsys):
    for _ in range(2):
        with job_repository() as job_repo:
            # Atomically checks and creates job
            job, created = job_repo.create_job_if_not_exists(
                job_type="video_process",
                target_id="video123",
                parameters='{"url": "..."}',
                check_statuses=["pending", "running"],  # Only check these statuses
            )
            if created:
                print(f"Created new job {job.id}")  # noqa: T201
            else:
                print(f"Job already exists: {job.id}, status: {job.status}")  # noqa: T201
    assert capsys.readouterr().out == (
        f"Created new job {job.id}\nJob already exists: {job.id}, status: pending\n"
    )
    assert Job.objects.get().parameters == {"url": "..."}


def test_2_idempotent_job_creation_old():
    with pytest.deprecated_call():
        job_repo = get_job_repository()
    # Race condition: another process could create job between check and create
    if not job_repo.job_exists("video_process", "video123", ["pending", "running"]):
        job = job_repo.create_job("video_process", "video123")
    job_repo.session.close()
    # As in the seed, whose session nobody commits here either.
    assert job.pk
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", METHODS)
def test_3_all_repository_methods_have_automatic_retry(name):
    assert hasattr(getattr(JobRepository, name), "__wrapped__")


def test_migration_step_3_update_job_creation():
    with job_repository() as job_repo:
        job, created = job_repo.create_job_if_not_exists("video_process", "video123")
    assert (Job.objects.get(), created) == (job, True)


def test_best_practices_do():
    video_id = "video123"
    # Use idempotent job creation
    with job_repository() as job_repo:
        job, created = job_repo.create_job_if_not_exists(
            "video_process", video_id, check_statuses=["pending", "running"]
        )
    assert (Job.objects.get(), created) == (job, True)


def test_best_practices_dont_but_nesting_works():
    with job_repository() as outer:
        with job_repository() as job_repo:  # Bad! Creates 2 sessions
            job = job_repo.create_job("video_process", "video123")
        assert outer.job_exists("video_process", "video123")
    assert Job.objects.get() == job


def test_error_handling(caplog):
    logger = logging.getLogger("seed")
    try:
        with job_repository() as job_repo:
            job_repo.create_job("video_process", "video123")
            # If this raises an exception:
            job_repo.create_job("video_process", None)
            # Session is rolled back automatically
    except Exception as e:
        # Session was already rolled back and closed
        logger.error(f"Failed to create video: {e}")  # noqa: G004, TRY400
    assert "Failed to create video: target_id" in caplog.text
    assert not Job.objects.exists()
    assert not connection.in_atomic_block


def test_logging(caplog):
    caplog.set_level("DEBUG", "session_mgmt")
    for _ in range(2):
        with job_repository() as job_repo:
            job, _ = job_repo.create_job_if_not_exists("video_process", "vid123")
    messages = [(record.levelname, record.message) for record in caplog.records]
    created = f"Created new processing job: type=video_process, target=vid123, id={job.pk}"
    exists = "Job already exists: type=video_process, target=vid123, status=pending"
    assert ("INFO", created) in messages
    assert ("DEBUG", exists) in messages


def test_backward_compatibility():
    with pytest.deprecated_call():
        job_repo = get_job_repository()
    # ... use repos ...
    job_repo.create_job("video_process", "video123")
    job_repo.session.commit()
    job_repo.session.close()
    assert Job.objects.count() == 1


def test_faq_repositories_share_a_session():
    with get_db_session() as session:
        job_repo = JobRepository(session)
        # Both use same session
        other_repo = JobRepository(session)
        job = job_repo.create_job("video_process", "video123")
        assert other_repo.get_pending_jobs() == [job]


def test_faq_retries_are_disabled_for_an_operation():
    calls = []

    @db_retry(max_retries=0)
    def my_method():
        # Won't retry
        calls.append(1)
        raise OperationalError("the connection is lost")

    with pytest.raises(OperationalError):
        my_method()
    assert len(calls) == 1
