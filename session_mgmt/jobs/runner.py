"""Run one attempt of one job, from claim to end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error as DatabaseError
from django.db import connections

from session_mgmt.db.errors import describe
from session_mgmt.exceptions import GiveUp, InvalidInputError, LeaseLostError
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
from session_mgmt.redaction import log_error

if TYPE_CHECKING:
    from session_mgmt.jobs.handlers import Handler
    from session_mgmt.models import Job

__all__ = ["run_job"]

logger = logging.getLogger(__name__)


def run_job(job_id: int, using: str = "default") -> bool:
    """Run the job's next attempt in this thread, if it is there to be had.

    Any number of deliveries of one job are harmless: the claim lets one through. An exception of
    the handler ends the attempt, not the caller; the job is tried again, or fails for good when no
    attempt is left. What ends the process, such as SystemExit, is handed on after that. A process
    that is killed leaves the job to `rescue_jobs`.

    Returns:
        Whether an attempt was made.
    """
    handlers = registered()
    with StopSignals() as signals:
        if signals.is_nested and signals.is_draining:
            return False  # the engine runs jobs at once, also the one that was just given back
        job = begin_attempt(job_id, handlers, using)
        if job is None:
            logger.debug("Job %s is not pending, not due or not known; nothing to do", job_id)
            return False
        handler = handlers[job.job_type]
        try:
            with Heartbeat(job, handler.timeout):
                _attempt(job, handler, JobContext(job, signals))
        except LeaseLostError as lost:
            logger.warning("%s", lost)
    return True


def _attempt(job: Job, handler: Handler, context: JobContext) -> None:
    try:
        context.fence.look_around()
        result = handler.function(context)
        _tidy(context.fence.using)
        if context.fence.is_cancelled:
            cancel_attempt(job)
        else:
            _complete(job, result)
    except Exception as error:
        if isinstance(error, LeaseLostError) and error.job_id == job.pk:
            raise
        _tidy(context.fence.using)
        if context.fence.is_cancelled:
            cancel_attempt(job)
        elif context.fence.is_stopping:
            give_back(job)
        else:
            log_error(logger, error, "Job %s: attempt %s raised", job.pk, job.attempt)
            fail_attempt(job, _reason(error), for_good=isinstance(error, GiveUp))
    except BaseException as end:
        _leave(job, end, is_told=context.fence.is_draining)
        raise


def _complete(job: Job, result: object) -> None:
    try:
        complete_attempt(job, result)
    except InvalidInputError as error:  # the work is done, and would give the same again
        fail_attempt(job, _reason(error), for_good=True)


def _tidy(using: str) -> None:
    """Close a connection that the handler left broken, or without autocommit."""
    connection = connections[using]
    if connection.connection is None or connection.in_atomic_block:
        return  # a transaction is somebody's, who goes on with it
    is_broken = connection.errors_occurred and not connection.is_usable()
    if is_broken or not connection.autocommit:
        connection.close()
    connection.errors_occurred = False


def _leave(job: Job, end: BaseException, *, is_told: bool) -> None:
    try:
        if is_told:
            give_back(job)
        else:
            fail_attempt(job, f"The handler ended its process: {type(end).__name__}")
    except Exception as error:  # what ends the process matters more, and a rescue finds the job
        logger.warning("Job %s was left to a rescue: %s", job.pk, type(error).__name__)


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, DatabaseError):
        return f"{name}: {describe(error)}"  # without the rows that the server quotes
    try:
        return str(error) if isinstance(error, GiveUp) else f"{name}: {error}"
    except Exception as unreadable:
        return f"{name}, whose text cannot be read ({type(unreadable).__name__})"
