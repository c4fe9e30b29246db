"""Fill, empty and count the tables of all contenders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import redis

from benchmarks.jobs.racing import scalar, sql
from benchmarks.jobs.statements import FILL, JOB
from benchmarks.jobs.systems import pgqueuer_sync_queries, procrastinate_sync_app

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["counter", "fill", "messages"]

TASKS = "django_tasks_database_dbtaskresult"
_TABLES = (JOB, "procrastinate_jobs", "pgqueuer", "pgqueuer_log", TASKS)
_FILL_TASKS = f"""
    INSERT INTO {TASKS} (id, status, enqueued_at, args_kwargs, priority, task_path, worker_ids,
                         queue_name, backend_name, run_after, exception_class_path, traceback)
    SELECT gen_random_uuid(), 'READY', now(),
           jsonb_build_object('args', jsonb_build_array('fill-' || n),
                              'kwargs', jsonb_build_object()),
           0, 'benchmarks.jobs.job_handlers.task_tick', '[]', 'default', 'default',
           '9999-01-01 00:00:00+00', '', ''
    FROM generate_series(1, {{jobs}}) AS n
"""  # noqa: S608 # names
_BATCH = 10_000


def fill(jobs: int, *, peers: bool = True) -> None:
    """Leave so many pending jobs, and nothing else, in the tables of every contender."""
    sql(f"TRUNCATE {', '.join(_TABLES)} CASCADE")
    _redis().flushall()
    sql(FILL.format(jobs=jobs))
    if peers and jobs:
        sql(_FILL_TASKS.format(jobs=jobs))
        _fill_procrastinate(jobs)
        _fill_pgqueuer(jobs)
    sql("VACUUM ANALYZE")
    sql("CHECKPOINT")


def _fill_procrastinate(jobs: int) -> None:
    app = procrastinate_sync_app()
    for start in range(0, jobs, _BATCH):
        keys = [f"fill-{n}" for n in range(start, min(start + _BATCH, jobs))]
        task = app.configure_task("tick")
        task.batch_defer(*({"key": key} for key in keys))
    app.close()


def _fill_pgqueuer(jobs: int) -> None:
    queries = pgqueuer_sync_queries()
    for start in range(0, jobs, _BATCH):
        keys = [f"fill-{n}" for n in range(start, min(start + _BATCH, jobs))]
        number = len(keys)
        queries.enqueue(["tick"] * number, [key.encode() for key in keys], [0] * number)


def counter(table: str, condition: str = "true") -> Callable[[], int]:
    """Return what counts the rows of a table."""
    return lambda: int(scalar(f"SELECT count(*) FROM {table} WHERE {condition}"))  # noqa: S608 # names


def messages() -> int:
    """Count the messages that wait for Celery."""
    return int(_redis().llen("celery"))


def _redis() -> redis.Redis:
    path = os.environ["BENCHMARK_REDIS_URL"].removeprefix("redis+socket://")
    return redis.Redis(unix_socket_path=path)
