"""Find jobs that were committed but never started, and attempts that died, and send them again."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now, Random

from session_mgmt.conf import get_settings
from session_mgmt.db import Fault, classify
from session_mgmt.db.returning import update_returning
from session_mgmt.jobs.attempts import abandon_attempt
from session_mgmt.jobs.dispatch import dispatch
from session_mgmt.jobs.handlers import registered
from session_mgmt.models import Job
from session_mgmt.redaction import log_error
from session_mgmt.states import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

__all__ = ["Rescue", "RescueOnRead", "rescue_jobs", "rescue_on_read"]

logger = logging.getLogger(__name__)

_BATCH: Final = 500
_BATCH_ON_READ: Final = 20
_MOST_REFUSALS: Final = 3


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
    them wins, and a row that somebody has locked is left out. An error with one job is logged and
    does not keep the others waiting; after three in a row the rest is left to the next pass, since
    the engine is away.

    Args:
        using: database alias.
        dry_run: only count.
        limit: how many jobs of each kind to handle in this pass.
    """
    rows = Job.objects.using(using).filter(job_type__in=list(registered()))
    jobs = rows.defer("parameters", "result")
    abandoned = jobs.abandoned().order_by("lease_expires_at")[:limit]
    # Those that were never sent in any order: what the engine refuses must not stand in the way.
    lost = jobs.undelivered().order_by(F("dispatched_at").asc(nulls_first=True), Random())[:limit]
    if dry_run:
        return Rescue(taken_over=abandoned.count(), redispatched=lost.count())
    return Rescue(_count(abandon_attempt, abandoned), redispatched=_count(_redispatch, lost))


class RescueOnRead:
    """Let those who follow sessions find lost jobs, where nobody runs the command.

    However many follow, one of them in each process makes a small pass every `RESCUE_ON_READ`, and
    the others pay nothing. An error in it is logged: it is no business of who only reads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def __call__(self, using: str = "default") -> None:
        """Make a pass if it is time."""
        pause: timedelta | None = get_settings().RESCUE_ON_READ
        if pause is None or not self._is_time(using, pause.total_seconds()):
            return
        try:
            rescue_jobs(using, limit=_BATCH_ON_READ)
        except Exception as error:
            log_error(logger, error, "Lost jobs could not be looked for")

    def _is_time(self, using: str, pause: float) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._next.get(using, 0.0):
                return False
            self._next[using] = now + pause
            return True


rescue_on_read: Final = RescueOnRead()


def _redispatch(job: Job) -> bool:
    row = Job.objects.using(job._state.db).filter(pk=job.pk)
    with transaction.atomic(using=job._state.db):
        won = row.undelivered().lock_free() and update_returning(row, dispatched_at=Now())
    if not won:
        return False
    try:
        dispatch(won)
    except Exception:  # whatever the engine raised: the job must be told to it again
        row.filter(status=JobStatus.PENDING).update(dispatched_at=None)
        raise
    return True


def _count(step: Callable[[Job], bool], jobs: Iterable[Job]) -> int:
    """Return how many steps did something; go on after an error, unless they are in a row."""
    done = refused = 0
    for job in jobs:
        try:
            done += step(job)
            refused = 0
        except Exception as error:  # an engine may raise anything; the other jobs do not wait
            if isinstance(error, DatabaseError) and classify(error) is not Fault.PERMANENT:
                raise  # the database is away: so it is for every other job
            log_error(logger, error, "Job %s could not be rescued", job.pk)
            refused += 1
            if refused == _MOST_REFUSALS:
                break
    return done
