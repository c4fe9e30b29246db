"""Tell the engine about jobs, once they have committed."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from django.db.models.functions import Now
from django.utils import timezone

from session_mgmt.jobs.engines import get_engine
from session_mgmt.jobs.handlers import registered
from session_mgmt.models import Job
from session_mgmt.signals import jobs_pending
from session_mgmt.states import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = ["connect", "dispatch"]

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 500
_Delivered: TypeAlias = "dict[tuple[str, int, datetime | None], list[int]]"


def connect() -> None:
    """Dispatch every job that becomes pending from now on, if this process knows its handler.

    It happens after the commit. If the process dies before that, or the engine refuses,
    `rescue_jobs` finds the job.
    """
    jobs_pending.connect(_on_jobs_pending, dispatch_uid="session_mgmt.jobs.dispatch")


def dispatch(jobs: Iterable[Job]) -> None:
    """Deliver pending jobs and note when, so that a rescue does not send them again too soon.

    An engine that raises ends it; what it took until then is noted.
    """
    waiting = iter(jobs)
    while part := list(islice(waiting, _AT_ONCE)):
        delivered: _Delivered = defaultdict(list)
        try:
            _deliver(part, delivered)
        finally:
            _note(delivered)


def _deliver(jobs: list[Job], delivered: _Delivered) -> None:
    engine, now = get_engine(), timezone.now()
    for job in jobs:
        using = job._state.db or "default"
        due = job.run_after if job.run_after and job.run_after > now else None
        if engine.deliver(job.pk, using, priority=job.priority, run_after=due):
            delivered[using, job.attempt, due].append(job.pk)


def _note(delivered: _Delivered) -> None:
    for (using, attempt, due), numbers in delivered.items():
        rows = Job.objects.using(using).filter(pk__in=numbers, status=JobStatus.PENDING)
        # An engine that runs it at once has made an attempt by now, which may wait for the next.
        rows.filter(attempt=attempt).update(dispatched_at=due or Now())


def _on_jobs_pending(*, jobs: list[Job], **_: object) -> None:
    handlers = registered()
    unknown = Counter(job.job_type for job in jobs if job.job_type not in handlers)
    for job_type, count in unknown.items():
        logger.info("%s jobs wait for a process that handles %r", count, job_type)
    dispatch(job for job in jobs if job.job_type in handlers)
