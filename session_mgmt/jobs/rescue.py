"""Find jobs that were committed but never started, and attempts that died, and send them again."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError
from django.db.models import F
from django.db.models.functions import Now

from session_mgmt.conf import get_settings
from session_mgmt.db.returning import update_returning
from session_mgmt.jobs.attempts import abandon_attempt
from session_mgmt.jobs.dispatch import dispatch
from session_mgmt.jobs.handlers import registered
from session_mgmt.models import Job
from session_mgmt.states import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

__all__ = ["Rescue", "RescueOnRead", "rescue_jobs", "rescue_on_read"]

logger = logging.getLogger(__name__)

_BATCH: Final = 500
_BATCH_ON_READ: Final = 20


@dataclass(frozen=True, slots=True)
class Rescue:
    """What one pass did, or would do.

    Attributes:
        taken_over: attempts whose lease had run out; each was ended, and its job waits or failed.
        redispatched: jobs that nobody had come for.
    """

    taken_over: int
    redispatched: int


def rescue_jobs(using: str = "default", *, dry_run: bool = False, limit: int = _BATCH) -> Rescue:
    """Make one pass over the jobs whose handlers this process knows.

    Safe to run in any number of processes at once: every step is a guarded UPDATE that one of
    them wins. Those that have waited longest come first. An error with one job is logged and does
    not keep the others waiting; an engine that refuses is asked again in the next pass.

    Args:
        using: database alias.
        dry_run: only count.
        limit: how many jobs of each kind to handle in this pass.
    """
    jobs = Job.objects.using(using).filter(job_type__in=list(registered()))
    abandoned = jobs.abandoned().order_by("lease_expires_at")[:limit]
    lost = jobs.undelivered().order_by(F("dispatched_at").asc(nulls_first=True), "pk")[:limit]
    if dry_run:
        return Rescue(taken_over=abandoned.count(), redispatched=lost.count())
    taken_over = sum(_logged(abandon_attempt, job) for job in abandoned)
    return Rescue(taken_over, redispatched=sum(_logged(_redispatch, job) for job in lost))


class RescueOnRead:
    """Let those who follow sessions find lost jobs, where nobody runs the command.

    However many follow, one of them in each process makes a small pass every `RESCUE_ON_READ`, and
    the others pay nothing. An error in it is logged: it is no business of who only reads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0

    def __call__(self, using: str = "default") -> None:
        """Make a pass if it is time."""
        pause: timedelta | None = get_settings().RESCUE_ON_READ
        if pause is None or not self._is_time(pause.total_seconds()):
            return
        try:
            rescue_jobs(using, limit=_BATCH_ON_READ)
        except Exception:
            logger.exception("Lost jobs could not be looked for")

    def _is_time(self, pause: float) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return False
            self._next = now + pause
            return True


rescue_on_read: Final = RescueOnRead()


def _redispatch(job: Job) -> bool:
    row = Job.objects.using(job._state.db).filter(pk=job.pk)
    won = update_returning(row.undelivered(), dispatched_at=Now())
    if not won:
        return False
    try:
        dispatch(won)
    except Exception:  # whatever the engine raised: the job must be told to it again
        row.filter(status=JobStatus.PENDING).update(dispatched_at=None)
        raise
    return True


def _logged(step: Callable[[Job], bool], job: Job) -> bool:
    try:
        return step(job)
    except DatabaseError:
        raise  # the database is away: so it is for every other job
    except Exception:  # an engine may raise anything; the other jobs do not wait for it
        logger.exception("Job %s could not be rescued", job.pk)
        return False
