"""The peers' applications, as their documentation has them, each with the trivial job."""

from __future__ import annotations

import os

import asyncpg
import celery
import procrastinate
import psycopg
from pgqueuer.adapters.drivers.psycopg import SyncPsycopgDriver
from pgqueuer.adapters.persistence.queries import Queries, SyncQueries

from benchmarks.jobs.ticks import tick

__all__ = [
    "celery_app",
    "celery_tick",
    "install",
    "pgqueuer_queries",
    "pgqueuer_sync_queries",
    "procrastinate_app",
    "procrastinate_sync_app",
    "procrastinate_tick",
]

_URL = os.environ["BENCHMARK_DATABASE_URL"]

celery_app = celery.Celery("benchmarks.jobs", broker=os.environ["BENCHMARK_REDIS_URL"])
celery_app.conf.task_ignore_result = True
celery_app.conf.broker_connection_retry_on_startup = True
if "BENCHMARK_PREPARED" in os.environ:
    # Celery closes Django's connections around each task unless it is told after how many.
    celery_app.conf.CELERY_DB_REUSE_MAX = 1_000_000

procrastinate_app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=_URL, min_size=1)
)


@celery_app.task(name="tick")
def celery_tick(key: str) -> None:
    """Note the task."""
    tick(key)


@procrastinate_app.task(name="tick")
async def procrastinate_tick(key: str) -> None:
    """Note the job."""
    tick(key)


def procrastinate_sync_app() -> procrastinate.App:
    """Return an open application that defers from a process without an event loop."""
    connector = procrastinate.SyncPsycopgConnector(conninfo=_URL, min_size=1, max_size=1)
    # The worker's application knows the task; a job names it, and to defer needs no more.
    app = procrastinate.App(connector=connector)
    app.open()
    return app


def pgqueuer_sync_queries() -> SyncQueries:
    """Return what enqueues from a process without an event loop."""
    return SyncQueries(SyncPsycopgDriver(psycopg.connect(_URL, autocommit=True)))


async def pgqueuer_queries() -> Queries:
    """Return what a worker dequeues with: with psycopg it waits 2 s between its own statements."""
    return Queries.from_asyncpg_connection(await asyncpg.connect(_URL))


async def install() -> None:
    """Create the tables of procrastinate and pgqueuer."""
    async with procrastinate_app.open_async():
        await procrastinate_app.schema_manager.apply_schema_async()
    queries = await pgqueuer_queries()
    await queries.install()
