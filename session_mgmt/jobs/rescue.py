"""Find jobs that were committed but never started, and attempts that died, and send them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models.functions import Now

from session_mgmt.db.returning import update_returning
from session_mgmt.jobs.attempts import abandon_attempt
from session_mgmt.jobs.dispatch import dispatch
from session_mgmt.jobs.handlers import registered
from session_mgmt.models import Job

__all__ = ["Rescue", "rescue_jobs"]

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
    them wins. At most 500 jobs of each kind are handled in a pass.
    """
    jobs = Job.objects.using(using).filter(job_type__in=list(registered()))
    taken_over = sum(abandon_attempt(job) for job in jobs.abandoned().order_by("pk")[:_BATCH])
    waiting = list(jobs.undelivered().order_by("pk").values_list("pk", flat=True)[:_BATCH])
    lost = update_returning(jobs.undelivered().filter(pk__in=waiting), dispatched_at=Now())
    for job in lost:
        dispatch(job)
    return Rescue(taken_over=taken_over, redispatched=len(lost))
