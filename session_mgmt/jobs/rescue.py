"""Find jobs that were committed but never started, and attempts that died, and send them again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError
from django.db.models import F
from django.db.models.functions import Now

from session_mgmt.db.returning import update_returning
from session_mgmt.jobs.attempts import abandon_attempt
from session_mgmt.jobs.dispatch import dispatch
from session_mgmt.jobs.handlers import registered
from session_mgmt.models import Job
from session_mgmt.states import JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rescue", "rescue_jobs"]

logger = logging.getLogger(__name__)

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Rescue:
    """What one pass did.

    Attributes:
        taken_over: attempts whose lease had run out; each was ended, and its job waits or failed.
        redispatched: jobs that nobody had come for.
    """

    taken_over: int
    redispatched: int


def rescue_jobs(using: str = "default") -> Rescue:
    """Make one pass over the jobs whose handlers this process knows.

    Safe to run in any number of processes at once: every step is a guarded UPDATE that one of
    them wins. At most 500 jobs of each kind are handled in a pass, those that have waited longest
    first. An error with one job is logged and does not keep the others waiting; an engine that
    refuses is asked again in the next pass.
    """
    jobs = Job.objects.using(using).filter(job_type__in=list(registered()))
    abandoned = jobs.abandoned().order_by("lease_expires_at")[:_BATCH]
    taken_over = sum(_logged(abandon_attempt, job) for job in abandoned)
    lost = jobs.undelivered().order_by(F("dispatched_at").asc(nulls_first=True), "pk")
    redispatched = sum(_logged(_redispatch, job) for job in lost[:_BATCH])
    return Rescue(taken_over=taken_over, redispatched=redispatched)


def _redispatch(job: Job) -> bool:
    row = Job.objects.using(job._state.db).filter(pk=job.pk)
    won = update_returning(row.undelivered(), dispatched_at=Now())
    if not won:
        return False
    try:
        dispatch(won[0])
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
