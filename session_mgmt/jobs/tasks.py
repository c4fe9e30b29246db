"""Deliver jobs through Django's tasks framework.

Django 6.0 has it built in; before, it is the `django-tasks` package.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from session_mgmt.db.flusher import FLUSHER
from session_mgmt.jobs.runner import run_job

try:
    from django.tasks import task, task_backends
except ImportError:
    from django_tasks import task, task_backends  # type: ignore[no-redef,assignment] # same, before 6.0

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["TasksEngine", "run_job_task"]

_RQ: Final = "django_tasks_rq"
_ONE_SECOND: Final = timedelta(seconds=1)


@task()
def run_job_task(job_id: int, using: str) -> bool:
    """Run a job's next attempt; true if there was one to make."""
    try:
        return run_job(job_id, using)
    finally:
        if _is_in_rq():
            FLUSHER.drain()


class TasksEngine:
    """Deliver on the backend named `default` in `TASKS`."""

    def deliver(
        self, job_id: int, using: str, *, priority: int, run_after: datetime | None
    ) -> bool:
        """Enqueue `run_job_task`."""
        backend = task_backends[run_job_task.backend]
        if run_after is not None and not backend.supports_defer:
            return False
        task = run_job_task
        if backend.supports_priority:
            task = task.using(priority=priority)
        if run_after is not None:
            is_rq = type(backend).__module__.partition(".")[0] == _RQ
            task = task.using(run_after=_full_second(run_after) if is_rq else run_after)
        task.enqueue(job_id, using)
        return True


def _is_in_rq() -> bool:
    """Tell whether this is a worker of RQ: its child for each task leaves without Python's exit."""
    rq = sys.modules.get("rq")
    return rq is not None and rq.get_current_job() is not None


def _full_second(moment: datetime) -> datetime:
    """Return the next full second: RQ leaves out fractions, and an early message is spent."""
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + _ONE_SECOND
