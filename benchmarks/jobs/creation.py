"""Create jobs once: one by one, half of them there already, and 10,000 at once."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.jobs import statements
from benchmarks.jobs.racing import WARM_UP, Contender, compare, durabilities, in_turn, race
from benchmarks.jobs.tables import TASKS, counter, fill, messages
from session_mgmt.models import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.jobs.racing import Work

__all__ = ["OURS", "bulk", "creation"]

CREATIONS = 1_000  # in a block
BULK = 10_000


def ours(using: str) -> Work:
    """Return our creation on a database alias."""
    create = Job.objects.using(using).create_if_not_exists

    def work(keys: Sequence[str]) -> None:
        for key in keys:
            create("bench", key)

    return work


def ours_in_bulk(using: str) -> Work:
    """Return our creation of many."""
    from session_mgmt.models.job_request import JobRequest

    create = Job.objects.using(using).create_many_if_not_exist

    def work(keys: Sequence[str]) -> None:
        if keys:
            create([JobRequest("bench", key) for key in keys])

    return work


def bulk_create() -> Work:
    """Return Django's own, which tells nobody what it left out."""

    def work(keys: Sequence[str]) -> None:
        jobs = [Job(job_type="bench", target_id=key, run_number=1) for key in keys]
        Job.objects.bulk_create(jobs, ignore_conflicts=True)

    return work


def procrastinate(*, at_once: bool = False) -> Work:
    """Return deferring with a queueing lock; a duplicate raises."""
    from procrastinate.exceptions import AlreadyEnqueued

    from benchmarks.jobs.systems import procrastinate_sync_app

    app = procrastinate_sync_app()

    def work(keys: Sequence[str]) -> None:
        for key in keys:
            try:
                app.configure_task("tick", queueing_lock=key).defer(key=key)
            except AlreadyEnqueued:
                continue

    def work_at_once(keys: Sequence[str]) -> None:
        # A lock cannot be given for each job of a batch, so this has no idempotency.
        if keys:
            app.configure_task("tick").batch_defer(*({"key": key} for key in keys))

    return work_at_once if at_once else work


def pgqueuer(*, at_once: bool = False) -> Work:
    """Return enqueueing with a dedupe key; a duplicate is told as None."""
    from benchmarks.jobs.systems import pgqueuer_sync_queries

    queries = pgqueuer_sync_queries()

    def work(keys: Sequence[str]) -> None:
        for key in keys:
            queries.enqueue("tick", key.encode(), dedupe_key=key, on_conflict="skip")

    def work_at_once(keys: Sequence[str]) -> None:
        payloads, many = [key.encode() for key in keys], len(keys)
        if keys:
            queries.enqueue(
                ["tick"] * many, payloads, [0] * many, dedupe_key=list(keys), on_conflict="skip"
            )

    return work_at_once if at_once else work


def tasks_db() -> Work:
    """Return enqueueing a task of django-tasks-db."""
    from benchmarks.jobs.job_handlers import task_tick

    def work(keys: Sequence[str]) -> None:
        for key in keys:
            task_tick.enqueue(key)

    return work


def celery() -> Work:
    """Return sending a task to Redis."""
    from benchmarks.jobs.systems import celery_tick

    def work(keys: Sequence[str]) -> None:
        for key in keys:
            celery_tick.apply_async(args=[key])

    return work


_jobs = counter(statements.JOB)
LIMIT = "limit: psycopg, one statement"
OURS = (
    Contender("ours, default options", partial(ours, "default"), _jobs),
    Contender("ours, prepared", partial(ours, "prepared"), _jobs),
)
SINGLE = (
    Contender(LIMIT, statements.create, _jobs),
    *OURS,
    Contender("procrastinate, queueing lock", procrastinate, counter("procrastinate_jobs")),
    Contender("pgqueuer, dedupe key", pgqueuer, counter("pgqueuer")),
    Contender("django-tasks-db, not idempotent", tasks_db, counter(TASKS), is_idempotent=False),
    Contender("Celery on Redis, not idempotent or durable", celery, messages, is_idempotent=False),
)
AT_ONCE = (
    Contender("limit: psycopg, unnest", statements.create_many, _jobs),
    Contender("ours, default options", partial(ours_in_bulk, "default"), _jobs),
    Contender("ours, prepared", partial(ours_in_bulk, "prepared"), _jobs),
    Contender("bulk_create(ignore_conflicts)", bulk_create, _jobs),
    Contender(
        "procrastinate, no locks in a batch",
        partial(procrastinate, at_once=True),
        counter("procrastinate_jobs"),
    ),
    Contender("pgqueuer, dedupe keys", partial(pgqueuer, at_once=True), counter("pgqueuer")),
)


def keys_for(block: str, clients: int, creations: int) -> list[list[str]]:
    """Deal every key to two random places among the clients; fixed, so that all do the same."""
    keys = [f"{block}-{n}" for n in range((creations + WARM_UP * clients) // 2)] * 2
    random.Random(block).shuffle(keys)  # noqa: S311 # an order that can be repeated
    return [keys[client::clients] for client in range(clients)]


def creation(repeats: int, scale: float) -> None:
    """Compare the creation of single jobs, for 1 and 8 clients."""
    for clients in (1, 8):
        creations = int(CREATIONS * scale * (1 if clients == 1 else 2))

        def shares(block: str, n: int = clients, m: int = creations) -> list[list[str]]:
            return keys_for(block, n, m)

        title = f"Creation of one job, half new half duplicates, {clients} client processes"
        _compare(title, SINGLE, repeats, shares)


def bulk(repeats: int, scale: float) -> None:
    """Compare the creation of many jobs at once."""
    number = int(BULK * scale)
    contenders = AT_ONCE
    if not hasattr(Job.objects, "create_many_if_not_exist"):
        print("\nJob.objects.create_many_if_not_exist is not there, so it is left out")
        contenders = tuple(one for one in AT_ONCE if not one.name.startswith("ours"))

    def shares(block: str) -> list[list[str]]:
        return [[f"{block}-{n}" for n in range(number + WARM_UP)]]

    _compare(f"Creation of {number:,} new jobs at once, 1 client", contenders, repeats, shares)


def _compare(
    title: str,
    contenders: Sequence[Contender],
    repeats: int,
    shares: Callable[[str], list[list[str]]],
) -> None:
    rates: dict[str, dict[str, list[float]]] = {}
    for durability in durabilities():
        fill(10_000)  # plans for empty tables are of no use
        rates[durability] = {contender.name: [] for contender in contenders}
        for repeat, contender in in_turn(contenders, repeats):
            block = f"{repeat}-{contender.name.split(':')[0]}"
            rates[durability][contender.name].append(race(contender, shares(block)))
    compare(title, contenders[0].name, rates)
