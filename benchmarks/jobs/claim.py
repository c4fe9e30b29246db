"""Claim jobs of which 100,000 wait."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.jobs import statements
from benchmarks.jobs.racing import (
    WARM_UP,
    Contender,
    compare,
    durabilities,
    in_turn,
    race,
    scalar,
)
from benchmarks.jobs.tables import TASKS, counter, fill
from session_mgmt.jobs.attempts import begin_attempt
from session_mgmt.models import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.jobs.racing import Work

__all__ = ["OURS", "claim", "pending_ids"]

PENDING = 100_000
CLAIMS = 800  # in a block


def ours(using: str) -> Work:
    """Return our claim on a database alias."""
    claim_job = Job.objects.using(using).claim

    def work(ids: Sequence[int]) -> None:
        for job_id in ids:
            if claim_job(job_id) is None:
                raise LookupError(job_id)

    return work


def ours_in_a_worker(using: str) -> Work:
    """Return our claim as a worker makes it: a transaction that takes the session along."""

    def work(ids: Sequence[int]) -> None:
        for job_id in ids:
            if begin_attempt(job_id, ["bench"], using) is None:
                raise LookupError(job_id)

    return work


def procrastinate() -> Work:
    """Return fetching the next job."""
    from benchmarks.jobs.systems import procrastinate_app as app

    loop = asyncio.new_event_loop()
    loop.run_until_complete(app.open_async())
    worker = loop.run_until_complete(app.job_manager.register_worker())

    async def fetch(number: int) -> None:
        for _ in range(number):
            if await app.job_manager.fetch_job(None, worker) is None:
                raise LookupError

    return lambda ids: loop.run_until_complete(fetch(len(ids)))


def pgqueuer(batch: int) -> Work:
    """Return dequeueing so many at once, which is what its worker does."""
    from pgqueuer.ports.repository import EntrypointExecutionParameter

    from benchmarks.jobs.systems import pgqueuer_queries

    loop = asyncio.new_event_loop()
    queries = loop.run_until_complete(pgqueuer_queries())
    entrypoints = {"tick": EntrypointExecutionParameter(0)}
    # Jobs whose worker gave no sign of life for so long would be handed out once more.
    worker, patience = uuid.uuid4(), timedelta(hours=1)

    async def dequeue(number: int) -> None:
        while number > 0:
            size = min(batch, number)
            number -= len(await queries.dequeue(size, entrypoints, worker, None, patience))

    return lambda ids: loop.run_until_complete(dequeue(len(ids)))


def tasks_db() -> Work:
    """Return what db_worker does to get its next task."""
    from django_tasks_db.models import DBTaskResult
    from django_tasks_db.utils import exclusive_transaction

    def work(ids: Sequence[int]) -> None:
        for _ in ids:
            tasks = DBTaskResult.objects.ready().filter(
                backend_name="default", queue_name__in=["default"]
            )
            with exclusive_transaction(tasks.db):
                tasks.get_locked().claim("bench")

    return work


_running = counter(statements.JOB, "status = 'running' AND attempt = 1")
_picked = counter("pgqueuer", "status = 'picked'")
LIMIT = "limit: psycopg, by id"
OURS = (
    Contender("ours, default options", partial(ours, "default"), _running),
    Contender("ours, prepared", partial(ours, "prepared"), _running),
)
CONTENDERS = (
    Contender(LIMIT, statements.claim_by_id, _running),
    Contender("limit: psycopg, the next, SKIP LOCKED", statements.claim_next, _running),
    *OURS,
    Contender("ours, a worker's, default options", partial(ours_in_a_worker, "default"), _running),
    Contender("ours, a worker's, prepared", partial(ours_in_a_worker, "prepared"), _running),
    Contender("procrastinate", procrastinate, counter("procrastinate_jobs", "status = 'doing'")),
    Contender("pgqueuer, 1 at once", partial(pgqueuer, 1), _picked),
    Contender("pgqueuer, 10 at once, its default", partial(pgqueuer, 10), _picked),
    Contender("django-tasks-db", tasks_db, counter(TASKS, "status = 'RUNNING'")),
)  # fmt: skip


def pending_ids(workers: int, claims: int) -> list[list[int]]:
    """Return different jobs for each worker, from all over the table."""
    number = claims + WARM_UP * workers
    ids = scalar(
        f"SELECT array_agg(id) FROM (SELECT id FROM {statements.JOB} WHERE status = 'pending'"  # noqa: S608 # names
        f" ORDER BY random() LIMIT {number}) AS chosen"
    )
    return [ids[worker::workers] for worker in range(workers)]


def claim(repeats: int, scale: float) -> None:
    """Compare claims for 1 and 8 workers."""
    pending = int(PENDING * scale)
    for workers in (1, 8):
        claims = int(CLAIMS * scale * (1 if workers == 1 else 2))
        rates: dict[str, dict[str, list[float]]] = {}
        for durability in durabilities():
            fill(pending)
            rates[durability] = {contender.name: [] for contender in CONTENDERS}
            for _, contender in in_turn(CONTENDERS, repeats):
                shares = pending_ids(workers, claims)
                rates[durability][contender.name].append(race(contender, shares))
        compare(f"Claims, {pending:,} jobs wait, {workers} worker processes", LIMIT, rates)
