"""Begin and end attempts: each is one transaction on the job and then on its session.

Every write that ends an attempt asks whether the attempt still owns the job, in the UPDATE itself.
Rows are locked in the order job, session, children, everywhere; so two of these cannot deadlock.
Each of them is repeated after a COMMIT that was not answered. Then a row that already is what the
attempt wants it to be, under the attempt's own number, is its own work.
"""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from session_mgmt.conf import get_settings
from session_mgmt.db.returning import update_returning
from session_mgmt.exceptions import LeaseLostError
from session_mgmt.jobs.following import follow_end, follow_start, follow_wait
from session_mgmt.jobs.handlers import registered
from session_mgmt.jobs.persistence import surely
from session_mgmt.models import Job
from session_mgmt.signals import announce, jobs_pending
from session_mgmt.states import JobStatus
from session_mgmt.validation import checked_json, cleaned_report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.models.job_queries import JobQuerySet

__all__ = [
    "abandon_attempt",
    "begin_attempt",
    "cancel_attempt",
    "complete_attempt",
    "fail_attempt",
    "give_back",
]

logger = logging.getLogger(__name__)


def begin_attempt(job_id: int, job_types: Iterable[str], using: str) -> Job | None:
    """Claim a job for a new attempt, None if it is not there to be had.

    A job whose session was cancelled meanwhile is cancelled instead. A message that came before the
    job is due is spent, which happens where a worker's clock is ahead of the database's; the job is
    noted as undelivered, so that a rescue sends another.
    """
    known = list(job_types)
    claimed: list[Job] = []

    def claim(is_repeat: bool) -> Job | None:
        if is_repeat and claimed and _is_ours(claimed[-1]):
            return claimed[-1]
        job = Job.objects.using(using).claim(job_id, known)
        if job is None:
            return None
        if not follow_start(job):
            _owned(job).update(status=JobStatus.CANCELLED, **_ended())
            return None
        claimed.append(job)
        return job

    job = surely(claim, using)
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

    def complete(is_repeat: bool) -> None:
        values = {"result": checked, "progress": 1.0, "error_message": ""}
        if _end(job, _owned(job), is_repeat, JobStatus.COMPLETED, **values):
            follow_end(job)

    surely(complete, _alias(job))
    logger.info("Job %s completed in attempt %s", job.pk, job.attempt)


def fail_attempt(job: Job, reason: str, *, for_good: bool = False) -> None:
    """End an attempt that went wrong: the job waits for the next one, or fails for good.

    Raises:
        LeaseLostError: the attempt no longer owns it; nothing is written.
    """
    _retry_or_fail(job, _owned(job), reason, for_good=for_good)


def abandon_attempt(job: Job) -> bool:
    """End an attempt that gave no sign of life.

    False if it did, somebody was faster, or the row is locked: an attempt that has a transaction
    open is alive, and a rescue does not wait for it.
    """
    abandoned = _owned(job) & Job.objects.using(_alias(job)).abandoned()
    try:
        with transaction.atomic(using=_alias(job)):
            if not abandoned.lock_free():
                return False
            if job.cancel_requested_at is not None:
                _cancel(job, abandoned)
            else:
                _retry_or_fail(job, abandoned, f"Attempt {job.attempt} ended without a word")
    except LeaseLostError:
        return False
    return True


def cancel_attempt(job: Job) -> None:
    """End an attempt that stopped because somebody cancelled its job.

    Raises:
        LeaseLostError: the attempt no longer owns it; nothing is written.
    """
    _cancel(job, _owned(job))


def give_back(job: Job) -> None:
    """End an attempt whose worker stops: the job is dispatched at once, no attempt is spent.

    Raises:
        LeaseLostError: the attempt no longer owns it; nothing is written.
    """

    def release(is_repeat: bool) -> None:
        _wait(job, _owned(job), is_repeat, given_back=F("given_back") + 1, run_after=None)

    surely(release, _alias(job))
    logger.info("Job %s was given back by attempt %s", job.pk, job.attempt)


def _cancel(job: Job, rows: JobQuerySet) -> None:
    def cancel(is_repeat: bool) -> None:
        if _end(job, rows, is_repeat, JobStatus.CANCELLED):
            follow_end(job)

    surely(cancel, _alias(job))
    logger.info("Job %s was cancelled in attempt %s", job.pk, job.attempt)


def _retry_or_fail(job: Job, rows: JobQuerySet, reason: str, *, for_good: bool = False) -> None:
    message = cleaned_report(reason)
    retries = registered()[job.job_type].max_retries if job.max_retries is None else job.max_retries
    spent = job.attempt - job.given_back

    def fail(is_repeat: bool) -> None:
        if _end(job, rows, is_repeat, JobStatus.FAILED, error_message=message):
            # The owner of the session reads this; the error's own text is for who runs the site.
            follow_end(job, f"Job {job.pk} failed in attempt {job.attempt}.")

    def wait(is_repeat: bool) -> None:
        _wait(job, rows, is_repeat, run_after=Now() + _backoff(spent), error_message=message)

    if for_good or spent > retries:
        surely(fail, _alias(job))
        logger.error("Job %s failed for good in attempt %s: %s", job.pk, job.attempt, message)
    else:
        surely(wait, _alias(job))
        text = "Job %s will be tried again after attempt %s: %s"
        logger.warning(text, job.pk, job.attempt, message)


def _wait(job: Job, rows: JobQuerySet, is_repeat: bool, **values: object) -> None:
    fresh = {"lease_expires_at": None, "dispatched_at": None, "updated_at": Now()}
    waiting = update_returning(rows.wanted(), status=JobStatus.PENDING, **fresh, **values)
    if waiting:
        follow_wait(job)
    elif rows.update(status=JobStatus.CANCELLED, **_ended()):
        follow_end(job)  # somebody cancelled it meanwhile
    else:
        done = _done_before(job, is_repeat, JobStatus.PENDING, JobStatus.CANCELLED)
        waiting = [row for row in done if row.status == JobStatus.PENDING]
    if waiting:
        announce(jobs_pending, Job, _alias(job), jobs=waiting)


def _end(job: Job, rows: JobQuerySet, is_repeat: bool, status: JobStatus, **values: object) -> bool:
    """End the job; False if this very attempt has done so before."""
    if rows.update(status=status, **_ended(), **values):
        return True
    _done_before(job, is_repeat, status)
    return False


def _ended() -> dict[str, object]:
    return {"finished_at": Now(), "lease_expires_at": None, "updated_at": Now()}


def _done_before(job: Job, is_repeat: bool, *statuses: JobStatus) -> list[Job]:
    """Return the row if an earlier call, whose COMMIT was not answered, has written it."""
    rows = Job.objects.using(_alias(job)).filter(pk=job.pk, attempt=job.attempt)
    found = list(rows.filter(status__in=statuses)) if is_repeat else []
    if not found:
        raise LeaseLostError(job.pk, job.attempt)
    return found


def _is_ours(job: Job) -> bool:
    """Tell whether the row is as this call claimed it; the lease tells it from another's claim."""
    return _owned(job).filter(lease_expires_at=job.lease_expires_at).exists()


def _owned(job: Job) -> JobQuerySet:
    return Job.objects.using(_alias(job)).owned_by(job)


def _alias(job: Job) -> str:
    return job._state.db or "default"


def _backoff(spent: int) -> timedelta:
    limits = get_settings()
    first, longest = limits.JOB_RETRY_DELAY, limits.JOB_RETRY_MAX_DELAY
    doubled = first.total_seconds() * 2.0 ** min(max(spent - 1, 0), 30)
    seconds = min(doubled, longest.total_seconds())
    # Spread, so that jobs that failed together do not come back together.
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311 # no secret
