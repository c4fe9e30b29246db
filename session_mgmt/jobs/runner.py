"""Run one attempt of one job, from claim to end."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

from django.db import connections

from session_mgmt.exceptions import (
    GiveUp,
    LeaseLostError,
    WorkerStoppingError,
)
from session_mgmt.jobs.attempts import (
    begin_attempt,
    cancel_attempt,
    complete_attempt,
    fail_attempt,
    give_back,
)
from session_mgmt.jobs.context import JobContext
from session_mgmt.jobs.drain import StopSignals
from session_mgmt.jobs.handlers import registered
from session_mgmt.jobs.lease import Heartbeat
from session_mgmt.redaction import redacted

if TYPE_CHECKING:
    from session_mgmt.jobs.handlers import Handler
    from session_mgmt.models import Job

__all__ = ["run_job"]

logger = logging.getLogger(__name__)


def run_job(job_id: int, using: str = "default") -> bool:
    """Run the job's next attempt in this thread, if it is there to be had.

    Any number of deliveries of one job are harmless: the claim lets one through. An exception of
    the handler ends the attempt, not the caller; the job is tried again, or fails for good when no
    attempt is left. What ends the process, such as SystemExit, is handed on after the job was given
    back. A process that is killed leaves the job to `rescue_jobs`.

    Returns:
        Whether an attempt was made.
    """
    handlers = registered()
    with StopSignals() as signals:
        job = begin_attempt(job_id, handlers, using)
        if job is None:
            logger.debug("Job %s is not pending, not due or not known; nothing to do", job_id)
            return False
        handler = handlers[job.job_type]
        try:
            with Heartbeat(job, handler.timeout):
                _attempt(handler, JobContext(job, signals))
        except LeaseLostError as lost:
            logger.warning("%s", lost)
    return True


def _attempt(handler: Handler, context: JobContext) -> None:
    job = context.job
    try:
        result = handler.function(context)
        if context.fence.is_cancelled:
            cancel_attempt(job)
        else:
            complete_attempt(job, result)
    except WorkerStoppingError:
        give_back(job)
    except Exception as error:
        if isinstance(error, LeaseLostError) and error.job_id == job.pk:
            raise
        connection = connections[context.fence.using]
        if not connection.in_atomic_block:  # somebody's, who goes on with it
            connection.close_if_unusable_or_obsolete()
        if context.fence.is_cancelled:
            cancel_attempt(job)
            return
        text = redacted("".join(traceback.format_exception(error)))
        logger.error("Job %s: attempt %s raised\n%s", job.pk, job.attempt, text)  # noqa: TRY400
        fail_attempt(job, _reason(error), for_good=isinstance(error, GiveUp))
    except BaseException:
        _give_back_at_the_end(job)
        raise


def _give_back_at_the_end(job: Job) -> None:
    try:
        give_back(job)
    except Exception as error:  # what ends the process matters more, and a rescue finds the job
        logger.warning("Job %s was not given back: %s", job.pk, type(error).__name__)


def _reason(error: Exception) -> str:
    if isinstance(error, GiveUp):
        return str(error)
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception as unreadable:
        return f"{name}, whose text cannot be read ({type(unreadable).__name__})"
