"""Create jobs for a worker of another process: `python -m benchmarks.jobs.producers NAME`.

Each line of the input names jobs to create, one after the other. Each line of the output tells when
the first was begun, by `time.time()`, and how many seconds all of them took.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Create: TypeAlias = Callable[[str], object]


def ours() -> Create:
    """Create a job once; it is delivered as soon as it has committed."""
    import benchmarks.jobs.systems  # noqa: F401 # Celery's app, as a project's package imports it
    from session_mgmt.models import Job

    return lambda key: Job.objects.create_if_not_exists("tick", key)


def tasks_db() -> Create:
    """Enqueue a task of django-tasks-db."""
    from benchmarks.jobs.job_handlers import task_tick

    return task_tick.enqueue


def celery() -> Create:
    """Send a task to Redis."""
    from benchmarks.jobs.systems import celery_tick

    return lambda key: celery_tick.apply_async(args=[key])


def procrastinate() -> Create:
    """Defer a job under a queueing lock."""
    from benchmarks.jobs.systems import procrastinate_sync_app

    app = procrastinate_sync_app()
    return lambda key: app.configure_task("tick", queueing_lock=key).defer(key=key)


def pgqueuer() -> Create:
    """Enqueue a job with a dedupe key."""
    from benchmarks.jobs.systems import pgqueuer_sync_queries

    queries = pgqueuer_sync_queries()
    return lambda key: queries.enqueue("tick", key.encode(), dedupe_key=key, on_conflict="skip")


PRODUCERS = {one.__name__: one for one in (ours, tasks_db, celery, procrastinate, pgqueuer)}


def main() -> None:
    """Do as the input says until it ends."""
    import django

    django.setup()
    create = PRODUCERS[sys.argv[1]]()
    for line in sys.stdin:
        begun, started = time.time(), time.perf_counter()
        for key in line.split():
            create(key)
        print(begun, time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
