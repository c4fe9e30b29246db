"""Deliver jobs through Celery: `JOB_ENGINE = "session_mgmt.jobs.celery.CeleryEngine"`.

That setting is all it takes in a project with the `celery.py` of Celery's documentation. The app
imports its engine when Django starts, which a Celery worker has Django do before it forks; so the
worker knows the task, whether it looks for `tasks` modules or not.

What travels is the number of a job and the alias of its database. Messages are acknowledged late,
so those that a worker had fetched and not begun are given to another at once. One that comes
again is harmless, since the claim refuses it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from celery import shared_task, signals

from session_mgmt.db.flusher import FLUSHER
from session_mgmt.jobs.drain import request_drain
from session_mgmt.jobs.runner import run_job

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["CeleryEngine", "run_job_task"]

_LEAST: Final = -100  # priority of a job
_MOST: Final = 100
_STEPS: Final = 9  # brokers have ten levels, 0 to 9
# A worker's clock may be ahead of the database's, and a message that comes early is spent.
_CLOCKS_DIFFER_BY: Final = timedelta(seconds=0.1)
# One more time at once, for a connection that the broker has closed meanwhile. Whoever creates a
# job does not wait until the broker is back: a rescue sends the message then.
_ONCE_MORE: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_CONFIRM_TIMEOUT: Final = 5.0  # seconds; for a broker that is asked to confirm


def _run(job_id: int, using: str) -> None:
    """Run a job's next attempt, if there is one to make."""
    run_job(job_id, using)


# Called rather than decorating, because Celery has no type hints.
run_job_task: Final = shared_task(
    name="session_mgmt.run_job", acks_late=True, reject_on_worker_lost=True, ignore_result=True
)(_run)


class CeleryEngine:
    """Deliver through the Celery app of the project."""

    def deliver(
        self, job_id: int, using: str, *, priority: int, run_after: datetime | None
    ) -> bool:
        """Publish a message, with an `eta` if the job is not due yet.

        Raises:
            kombu.exceptions.OperationalError: the broker cannot be reached.
        """
        app = run_job_task.app
        if run_after is not None and app.conf.task_always_eager:
            return False  # it would run at once
        larger_first = app.connection_for_write().transport.driver_type != "redis"
        run_job_task.apply_async(
            (job_id, using),
            priority=_level(priority, larger_first=larger_first),
            eta=None if run_after is None else run_after + _CLOCKS_DIFFER_BY,
            retry=True,
            retry_policy=_ONCE_MORE,
            confirm_timeout=_CONFIRM_TIMEOUT,
        )
        return True


def _level(priority: int, *, larger_first: bool) -> int:
    above_least = min(max(priority, _LEAST), _MOST) - _LEAST
    level = round(above_least * _STEPS / (_MOST - _LEAST))
    return level if larger_first else _STEPS - level


def _give_jobs_back(**_: object) -> None:
    """Tell the attempts of this worker, which run in children of it, that it stops."""
    request_drain()


def _write_what_waits(**_: object) -> None:
    """Write what a child of the pool has buffered: it leaves without the exit of Python."""
    FLUSHER.drain()


signals.worker_shutting_down.connect(
    _give_jobs_back, weak=False, dispatch_uid="session_mgmt.jobs.celery.drain"
)
signals.worker_process_shutdown.connect(
    _write_what_waits, weak=False, dispatch_uid="session_mgmt.jobs.celery.flush"
)
