"""Let a session follow its jobs: it starts with the first, and ends with the last of them.

Each function runs in the transaction that changes the job, after the job's row was written.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db.models import F
from django.utils import timezone

from session_mgmt.exceptions import InvalidTransitionError, SessionNotFoundError
from session_mgmt.models import GenerationSession, Job, Progress
from session_mgmt.sessions.transitions import move
from session_mgmt.states import GenerationStatus, JobStatus

if TYPE_CHECKING:
    from session_mgmt.models.job_queries import JobQuerySet

__all__ = ["follow_end", "follow_start", "follow_wait"]

logger = logging.getLogger(__name__)


def follow_start(job: Job) -> bool:
    """Let the session be processed; False if it was cancelled, and the job with it."""
    if job.session_id is None:
        return True
    refusal = _move(job, GenerationStatus.PROCESSING)
    return refusal is None or refusal.current != GenerationStatus.CANCELLED


def follow_wait(job: Job) -> None:
    """Let the session wait too, unless another of its jobs runs."""
    if job.session_id is not None:
        _lock(job)
        if not _siblings(job).filter(status=JobStatus.RUNNING).exists():
            _move(job, GenerationStatus.PENDING)


def follow_end(job: Job, error_message: str = "") -> None:
    """End the session if a job failed, or if this was the last that it waited for.

    Of several runs for one target the last one counts. The session's row is locked first: of two
    jobs that end at the same moment, the second sees that the first has ended.
    """
    if job.session_id is None:
        return
    if error_message:
        _move(job, GenerationStatus.FAILED, error_message)
        return
    _lock(job)
    if _siblings(job).unfinished().exists():
        return
    runs = _siblings(job).order_by("run_number").values_list("job_type", "target_id", "status")
    outcomes = {(job_type, target): status for job_type, target, status in runs}
    if JobStatus.FAILED in outcomes.values():
        _move(job, GenerationStatus.FAILED)
    elif JobStatus.CANCELLED in outcomes.values():
        _move(job, GenerationStatus.CANCELLED)
    elif _move(job, GenerationStatus.COMPLETED) is None:
        _fill_progress(job)


def _fill_progress(job: Job) -> None:
    rows = Progress.objects.using(job._state.db).filter(session=job.session_id)
    unfilled = rows.filter(total_steps__gt=F("current_step"))
    unfilled.update(current_step=F("total_steps"), updated_at=timezone.now())


def _siblings(job: Job) -> JobQuerySet:
    return Job.objects.using(job._state.db).filter(session=job.session_id)


def _lock(job: Job) -> None:
    sessions = GenerationSession.objects.using(job._state.db)
    rows = sessions.select_for_update(no_key=True).with_id(job.session_id)
    list(rows.values_list("pk"))


def _move(
    job: Job, status: GenerationStatus, error_message: str = ""
) -> InvalidTransitionError | None:
    """Move the session, or return why not: whoever ended it meanwhile has the last word."""
    try:
        move(job.session_id, status, error_message, job._state.db or "default")
    except InvalidTransitionError as refusal:
        logger.warning("Job %s: %s", job.pk, refusal)
        return refusal
    except SessionNotFoundError as gone:
        logger.warning("Job %s: %s", job.pk, gone)
    return None
