"""Begin and end attempts: each is one transaction on the job and then on its session.

Every write that ends an attempt asks whether the attempt still owns the job, in the UPDATE itself.
Rows are locked in the order job, session, children, everywhere; so two of these cannot deadlock.
"""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from session_mgmt.conf import get_settings
from session_mgmt.db.returning import update_returning
from session_mgmt.exceptions import LeaseLostError, SessionManagerError
from session_mgmt.jobs.handlers import registered
from session_mgmt.models import GenerationSession, Job
from session_mgmt.sessions.transitions import move
from session_mgmt.signals import announce, job_pending
from session_mgmt.states import ACTIVE_JOB_STATUSES, GenerationStatus, JobStatus
from session_mgmt.validation import checked_json, cleaned_report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.models.job_queries import JobQuerySet

__all__ = ["abandon_attempt", "begin_attempt", "complete_attempt", "fail_attempt"]

logger = logging.getLogger(__name__)


def begin_attempt(job_id: int, job_types: Iterable[str], using: str) -> Job | None:
    """Claim a job for a new attempt, None if it is not there to be had.

    A message that came before the job is due is spent, which happens where a worker's clock is
    ahead of the database's; the job is noted as undelivered, so that a rescue sends another.
    """
    with transaction.atomic(using=using):
        jobs = Job.objects.using(using).filter(job_type__in=list(job_types))
        job = jobs.claim(job_id)
        if job is not None:
            _move_session(job, GenerationStatus.PROCESSING)
    if job is None:
        Job.objects.using(using).filter(pk=job_id).early().update(dispatched_at=None)
    return job


def complete_attempt(job: Job, result: object) -> None:
    """Store the result and end the job.

    Raises:
        LeaseLostError: the attempt no longer owns it; nothing is written.
        InvalidInputError: the result is not JSON; nothing is written.
    """
    checked = checked_json("result", result)
    with transaction.atomic(using=job._state.db):
        values = {"status": JobStatus.COMPLETED, "result": checked, "progress": 1.0}
        _end(job, _owned(job), **values, error_message="")
        if not _others_go_on(job):
            _move_session(job, GenerationStatus.COMPLETED)
    logger.info("Job %s completed in attempt %s", job.pk, job.attempt)


def fail_attempt(job: Job, reason: str) -> None:
    """End an attempt that went wrong: the job waits for the next one, or fails for good.

    Raises:
        LeaseLostError: the attempt no longer owns it; nothing is written.
    """
    _retry_or_fail(job, _owned(job), reason)


def abandon_attempt(job: Job) -> bool:
    """End an attempt that gave no sign of life; False if it did, or somebody was faster."""
    abandoned = _owned(job) & Job.objects.using(job._state.db).abandoned()
    try:
        _retry_or_fail(job, abandoned, f"Attempt {job.attempt} ended without a word")
    except LeaseLostError:
        return False
    return True


def _retry_or_fail(job: Job, rows: JobQuerySet, reason: str) -> None:
    message = cleaned_report(reason)
    retries = registered()[job.job_type].max_retries if job.max_retries is None else job.max_retries
    with transaction.atomic(using=job._state.db):
        if job.attempt > retries:
            _end(job, rows, status=JobStatus.FAILED, error_message=message)
            # The owner of the session reads this; the error's own text may hold secrets.
            _move_session(
                job, GenerationStatus.FAILED, f"Job {job.pk} failed in attempt {job.attempt}."
            )
            logger.error("Job %s failed for good in attempt %s: %s", job.pk, job.attempt, message)
            return
        waiting = update_returning(
            rows,
            status=JobStatus.PENDING,
            run_after=Now() + _backoff(job.attempt),
            lease_expires_at=None,
            dispatched_at=None,
            error_message=message,
            updated_at=Now(),
        )
        if not waiting:
            raise LeaseLostError(job.pk, job.attempt)
        _move_session(job, GenerationStatus.PENDING)
        _announce_pending(job)
    logger.warning("Job %s will be tried again after attempt %s: %s", job.pk, job.attempt, message)


def _owned(job: Job) -> JobQuerySet:
    return Job.objects.using(job._state.db).owned_by(job)


def _end(job: Job, rows: JobQuerySet, **values: object) -> None:
    if not rows.update(finished_at=Now(), lease_expires_at=None, updated_at=Now(), **values):
        raise LeaseLostError(job.pk, job.attempt)


def _others_go_on(job: Job) -> bool:
    """Tell whether the session has another job to wait for; the last of them to end ends it.

    The session's row is locked first: of two jobs that end at the same moment, the second sees
    that the first has ended.
    """
    if job.session_id is None:
        return False
    sessions = GenerationSession.objects.using(job._state.db)
    list(sessions.select_for_update().filter(pk=job.session_id).values_list("pk"))
    jobs = Job.objects.using(job._state.db).filter(session=job.session_id)
    return jobs.filter(status__in=ACTIVE_JOB_STATUSES).exists()


def _announce_pending(job: Job) -> None:
    using = job._state.db or "default"
    announce(job_pending, Job, using, job_id=job.pk, job_type=job.job_type, alias=using)


def _move_session(job: Job, status: GenerationStatus, error_message: str = "") -> None:
    if job.session_id is None:
        return
    try:
        move(job.session_id, status, error_message, job._state.db or "default")
    except SessionManagerError as refusal:
        # A terminal status is sticky: the session was ended by somebody, the job goes its own way.
        logger.warning("Job %s: %s", job.pk, refusal)


def _backoff(attempt: int) -> timedelta:
    limits = get_settings()
    delay: timedelta = min(
        limits.JOB_RETRY_DELAY * 2 ** min(attempt - 1, 30), limits.JOB_RETRY_MAX_DELAY
    )
    # Spread, so that jobs that failed together do not come back together.
    return delay * random.uniform(0.75, 1.25)  # noqa: S311 # no secret
