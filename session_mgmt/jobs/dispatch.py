"""Tell the engine about jobs, once they have committed."""

from __future__ import annotations

import logging

from django.db.models.functions import Now
from django.utils import timezone

from session_mgmt.jobs.engines import get_engine
from session_mgmt.jobs.handlers import registered
from session_mgmt.models import Job
from session_mgmt.signals import job_pending
from session_mgmt.states import JobStatus

__all__ = ["connect", "dispatch"]

logger = logging.getLogger(__name__)


def connect() -> None:
    """Dispatch every job that becomes pending from now on, if this process knows its handler.

    It happens after the commit. If the process dies before that, or the engine refuses,
    `rescue_jobs` finds the job.
    """
    job_pending.connect(_on_job_pending, dispatch_uid="session_mgmt.jobs.dispatch")


def dispatch(job: Job) -> None:
    """Deliver a pending job and note when, so that a rescue does not send it again too soon."""
    using = job._state.db or "default"
    due = job.run_after if job.run_after and job.run_after > timezone.now() else None
    if get_engine().deliver(job.pk, using, priority=job.priority, run_after=due):
        waiting = Job.objects.using(using).filter(pk=job.pk, status=JobStatus.PENDING)
        waiting.update(dispatched_at=due or Now())


def _on_job_pending(*, job_id: int, job_type: str, alias: str, **_: object) -> None:
    if job_type not in registered():
        logger.info("Job %s waits for a process that handles %r", job_id, job_type)
        return
    dispatch(Job.objects.using(alias).get(pk=job_id))
