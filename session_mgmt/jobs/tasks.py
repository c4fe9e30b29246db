"""The task that a worker of Django's tasks framework runs, and where that framework is.

Django 6.0 has it built in; before, it is the `django-tasks` package.
"""

from __future__ import annotations

from session_mgmt.jobs.runner import run_job

try:
    from django.tasks import task, task_backends
except ImportError:
    from django_tasks import task, task_backends  # type: ignore[no-redef,assignment] # same, before 6.0

__all__ = ["run_job_task", "task_backends"]


@task()
def run_job_task(job_id: int, using: str) -> bool:
    """Run a job's next attempt; true if there was one to make."""
    return run_job(job_id, using)
