"""Hand jobs to the workers that the user already runs.

An engine only delivers. It may lose a message or deliver it twice: the row in the database is the
truth, the claim refuses duplicates and `rescue_jobs` sends again what nobody came for.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.utils.module_loading import import_string

from session_mgmt.conf import get_settings
from session_mgmt.jobs.tasks import run_job_task, task_backends

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Engine", "TasksEngine", "get_engine"]


class Engine(Protocol):
    """Delivers the number of a job to some worker, which calls `run_job` with it."""

    def deliver(
        self, job_id: int, using: str, *, priority: int, run_after: datetime | None
    ) -> bool:
        """Send a message; False if this engine cannot wait until `run_after`."""


class TasksEngine:
    """Deliver through Django's tasks framework, on the backend named `default` in `TASKS`."""

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
            task = task.using(run_after=run_after)
        task.enqueue(job_id, using)
        return True


def get_engine() -> Engine:
    """Return the engine that `JOB_ENGINE` names."""
    return _engine(get_settings().JOB_ENGINE)


@cache
def _engine(path: str) -> Engine:
    engine: Engine = import_string(path)()
    return engine
