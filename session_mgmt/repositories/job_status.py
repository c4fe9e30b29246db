"""Which moves of a job somebody may make who is not one of its attempts, and how.

An attempt that a worker has claimed has a lease, and it owns its job: nobody moves it behind its
back, as what it writes next would be refused without its fault. All that can be done from here is
to ask it to stop. What is not leased may be moved by anybody, each move by one guarded UPDATE:

- A job that waits may be started: RUNNING counts as an attempt, but has no lease, so that no rescue
  takes it from a worker that does not renew one, and no engine starts it. If such a worker dies,
  the job stays RUNNING until somebody moves it; who wants leases uses `job_handler`. It is only
  started if it waits and is due. Of several who say RUNNING without progress or a step, one gets
  True; with them it may also be a report on a job that runs, and True says that it was written.
- A job that was started so may be reported on, go back to PENDING, which dispatches it, and end.
- A job that waits may end without having been started.
- CANCELLED, for a job that an attempt owns, asks the attempt to stop.
- An ended job stays as it is; trying again is a new run.

A session that the job belongs to follows, as it follows an attempt, in the same transaction.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from session_mgmt.conf import get_settings
from session_mgmt.db.returning import update_returning
from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.jobs.following import follow_end, follow_start, follow_wait
from session_mgmt.models import Job
from session_mgmt.signals import announce, jobs_pending
from session_mgmt.states import ACTIVE_JOB_STATUSES, JobStatus
from session_mgmt.validation import checked_text, cleaned_report

if TYPE_CHECKING:
    from session_mgmt.models.job_queries import JobQuerySet

__all__ = ["JobChange", "checked_change", "move_job"]

logger = logging.getLogger("session_mgmt.jobs")

_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class JobChange:
    """A move that can be written as it stands.

    Attributes:
        values: columns other than the status that the caller gave.
    """

    job_id: int
    status: JobStatus
    values: dict[str, object]


def checked_change(
    job_id: object, status: object, progress: object, current_step: object, error_message: object
) -> JobChange:
    """Return what can be written.

    Raises:
        InvalidInputError: a value is refused.
    """
    if not isinstance(job_id, int) or isinstance(job_id, bool):
        raise InvalidInputError("job_id", f"must be a whole number, not {shown(job_id)}")
    if not isinstance(status, str) or status not in JobStatus.values:
        known = ", ".join(JobStatus.values)
        raise InvalidInputError("status", f"{shown(status)} is not one of {known}")
    values: dict[str, object] = {}
    if progress is not None:
        if not isinstance(progress, int | float) or isinstance(progress, bool):
            raise InvalidInputError("progress", f"must be a number, not {shown(progress)}")
        if not 0 <= progress <= 1:
            raise InvalidInputError("progress", f"must be 0 to 1, not {shown(progress)}")
        values["progress"] = float(progress)
    if current_step is not None:
        longest = get_settings().MAX_DESCRIPTION_LENGTH
        text = _text("current_step", current_step)
        values["current_step"] = checked_text("current_step", text, longest)
    if error_message is not None:
        values["error_message"] = cleaned_report(_text("error_message", error_message))
    return JobChange(job_id, JobStatus(status), values)


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(field, f"must be a text, not {shown(value)}")
    return value


def move_job(jobs: JobQuerySet, change: JobChange) -> bool:
    """Make a move if it may be made; False and a warning if not."""
    if not 0 < change.job_id <= _LARGEST_ID:
        return _refuse(change, "there is no such job")
    rows = jobs.filter(pk=change.job_id)
    values = {**change.values, "updated_at": Now()}
    with transaction.atomic(using=rows.db):
        if change.status is JobStatus.PENDING:
            moved = _wait(rows, values)
        elif change.status is JobStatus.RUNNING:
            moved = _run(rows, values, is_report=bool(change.values))
        else:
            moved = _end(rows, change.status, values)
    return moved or _explain(rows, change)


def _unleased(rows: JobQuerySet) -> JobQuerySet:
    return rows.filter(status=JobStatus.RUNNING, lease_expires_at__isnull=True)


def _wait(rows: JobQuerySet, values: dict[str, object]) -> bool:
    if rows.filter(status=JobStatus.PENDING).update(**values):
        return True
    given_back = update_returning(
        _unleased(rows), status=JobStatus.PENDING, dispatched_at=None, **values
    )
    for job in given_back:
        follow_wait(job)
        announce(jobs_pending, Job, rows.db, jobs=[job])
    return bool(given_back)


def _run(rows: JobQuerySet, values: dict[str, object], *, is_report: bool) -> bool:
    started = update_returning(
        rows.due(),
        status=JobStatus.RUNNING,
        attempt=F("attempt") + 1,
        started_at=Coalesce("started_at", Now()),
        **values,
    )
    if started and not follow_start(started[0]):
        rows.update(status=JobStatus.CANCELLED, finished_at=Now())  # as its session is
        return False
    # Without anything to report it was to be started, and somebody was faster.
    return bool(started or (is_report and _unleased(rows).update(**values)))


def _end(rows: JobQuerySet, status: JobStatus, values: dict[str, object]) -> bool:
    if status is JobStatus.COMPLETED:
        values = {"progress": 1.0, "error_message": "", **values}
    free = rows.filter(
        Q(status=JobStatus.PENDING) | Q(status=JobStatus.RUNNING, lease_expires_at__isnull=True)
    )
    for job in update_returning(free, status=status, finished_at=Now(), **values):
        failure = f"Job {job.pk} failed in attempt {job.attempt}."
        follow_end(job, failure if status is JobStatus.FAILED else "")
        return True
    # What an attempt owns can only be asked to stop; its status follows when it has.
    return status is JobStatus.CANCELLED and rows.cancel() > 0


def _explain(rows: JobQuerySet, change: JobChange) -> bool:
    job = rows.first()
    if job is None:
        return _refuse(change, "there is no such job")
    if job.status is change.status and job.status not in ACTIVE_JOB_STATUSES:
        return True
    if job.status is JobStatus.PENDING:
        return _refuse(change, "it may not start yet")
    return _refuse(change, f"it is {job.status}, in attempt {job.attempt}")


def _refuse(change: JobChange, reason: str) -> bool:
    logger.warning("Job %s was not moved to %s: %s", shown(change.job_id), change.status, reason)
    return False
