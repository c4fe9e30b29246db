"""The trivial job, as ours and as a task of django-tasks; the app is imported with its models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.jobs.ticks import tick
from session_mgmt.jobs import job_handler

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task

if TYPE_CHECKING:
    from session_mgmt.jobs import JobContext

__all__ = ["our_tick", "task_tick"]


@job_handler("tick")
def our_tick(context: JobContext) -> None:
    """Note the job."""
    tick(context.job.target_id)


@task()
def task_tick(key: str) -> None:
    """Note the task."""
    tick(key)
