"""Make sessions and jobs for tests, and move their clocks."""

from datetime import timedelta

from django.db.models.functions import Now

from session_mgmt import GenerationRequest
from session_mgmt.models import GenerationSession, Job
from session_mgmt.sessions import session_manager


def make(job_type, parameters=None, *, target="target", session=None, max_retries=None):
    job, created = Job.objects.create_if_not_exists(
        job_type, target, parameters, session=session, max_retries=max_retries
    )
    assert created
    return job


def make_session():
    return session_manager.start(GenerationRequest(story_text="x", num_scenes=3))


def status_of(row):
    model = GenerationSession if isinstance(row, GenerationSession) else Job
    return model.objects.get(pk=row.pk).status


def let_lease_run_out():
    Job.objects.update(lease_expires_at=Now() - timedelta(seconds=1))


def make_due():
    """Spare the wait before the next attempt."""
    Job.objects.update(run_after=None)
