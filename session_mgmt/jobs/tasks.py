"""Deliver jobs through Django's tasks framework.

Django 6.0 has it built in; before, it is the `django-tasks` package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_mgmt.jobs.runner import run_job

try:
    from django.tasks import task, task_backends
except ImportError:
    from django_tasks import task, task_backends  # type: ignore[no-redef,assignment] # same, before 6.0

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["TasksEngine", "run_job_task"]


@task()
def run_job_task(job_id: int, using: str) -> bool:
    """Run a job's next attempt; true if there was one to make."""
    return run_job(job_id, using)


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
            task = task.using(run_after=run_after)
        task.enqueue(job_id, using)
        return True
