"""Run one attempt of one job, from claim to end."""

from __future__ import annotations

import logging

from django.db import connections

from session_mgmt.exceptions import LeaseLostError
from session_mgmt.jobs.attempts import begin_attempt, complete_attempt, fail_attempt
from session_mgmt.jobs.context import JobContext
from session_mgmt.jobs.handlers import registered
from session_mgmt.jobs.lease import Heartbeat

__all__ = ["run_job"]

logger = logging.getLogger(__name__)


def run_job(job_id: int, using: str = "default") -> bool:
    """Run the job's next attempt in this thread, if it is there to be had.

    Any number of deliveries of one job are harmless: the claim lets one through. An exception of
    the handler ends the attempt, not the caller; the job is tried again, or fails for good when no
    attempt is left. A process that dies leaves the job to `rescue_jobs`.

    Returns:
        Whether an attempt was made.
    """
    handlers = registered()
    job = begin_attempt(job_id, handlers, using)
    if job is None:
        logger.debug("Job %s is not pending, not due or not known here; nothing to do", job_id)
        return False
    try:
        with Heartbeat(job):
            try:
                complete_attempt(job, handlers[job.job_type].function(JobContext(job)))
            except LeaseLostError:
                raise
            except Exception as error:
                logger.exception("Job %s: attempt %s raised", job.pk, job.attempt)
                connections[using].close_if_unusable_or_obsolete()
                fail_attempt(job, _reason(error))
    except LeaseLostError as lost:
        logger.warning("%s", lost)
    return True


def _reason(error: Exception) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception as unreadable:
        return f"{name}, whose text cannot be read ({type(unreadable).__name__})"
