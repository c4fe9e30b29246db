"""What removing expired sessions costs: `python -m benchmarks.cleanup`.

Half of the sessions have expired. Each contender gets a copy of the same database, in turn; what is
left is checked. With --load the clean-up runs once more while writers in other processes renew
sessions, and what they and the clean-up saw is printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.statistics import configure, execute
from example_project.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Event

SESSION, SCENE, EVENT, PROGRESS = (
    f"session_mgmt_{name}" for name in ("generationsession", "scene", "sessionevent", "progress")
)
FILL = f"""
INSERT INTO {SESSION}
    (id, is_active, created_at, updated_at, status, request_data, error_message, last_accessed,
     last_event, idempotency_key, request_fingerprint)
SELECT gen_random_uuid(), true, made, made, 'completed',
       jsonb_build_object('story_text', repeat('Once upon a time. ', 20)), '', made, 1, '', ''
FROM generate_series(1, {{sessions}}) AS n,
     LATERAL (SELECT now() - interval '12 h' + n * interval '8 h' / {{sessions}}
                     + CASE WHEN n > {{sessions}} / 2 THEN interval '3 h' ELSE '0' END
                     AS made) AS _;

INSERT INTO {SCENE} (is_active, created_at, updated_at, session_id, scene_number, title,
                     description, prompt, metadata)
SELECT true, created_at, created_at, id, n, 'A scene', repeat('It rains. ', 10), '', '{{{{}}}}'
FROM {SESSION}, generate_series(1, {{scenes}}) AS n ORDER BY created_at;

INSERT INTO {EVENT} (session_id, seq, kind, data, created_at)
SELECT id, 1, 'session_created', '{{{{}}}}', created_at FROM {SESSION} ORDER BY created_at;

INSERT INTO {PROGRESS} (session_id, current_step, total_steps, description, updated_at)
SELECT id, 1, 2, '', created_at FROM {SESSION} ORDER BY created_at
"""  # noqa: S608 # names of tables
CHUNK = f"""
DELETE FROM {SESSION} WHERE id IN (
    SELECT id FROM {SESSION} WHERE status = 'completed' AND age_from < now() - interval '6 h'
    ORDER BY age_from LIMIT 1000)
"""  # noqa: S608 # names of tables


def main() -> None:
    """Start a database, fill it, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200_000, help="default: %(default)s")
    parser.add_argument("--scenes", type=int, default=10, help="of each (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each contender")
    parser.add_argument("--load", action="store_true", help="only ours, while others write")
    parser.add_argument("--writers", type=int, default=8, help="processes (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user when this is root
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            configure(server.url)
            for statement in FILL.split(";\n"):
                execute(statement.format(sessions=arguments.sessions, scenes=arguments.scenes))
            for table in (SESSION, SCENE, EVENT, PROGRESS):
                execute(f"VACUUM ANALYZE {table}")
            if arguments.load:
                under_load(arguments.sessions, arguments.writers)
            else:
                compare(arguments.sessions, arguments.repeats)


def compare(sessions: int, repeats: int) -> None:
    """Print how many sessions a second each contender removes."""
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(repeats):
        for name, run in CONTENDERS.items():
            longest = on_a_copy(run)
            rates[name].append(sessions / 2 / longest[0])
            print(f"  {name:40} {rates[name][-1]:9,.0f}/s, longest step {longest[1]:.3f} s")
    best = statistics.median(rates["by hand: cascade in chunks"])
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:40} {median:9,.0f} sessions/s  {median / best:.2f} of the best")


def on_a_copy(run: Callable[[], list[float]]) -> tuple[float, float]:
    """Run on a fresh copy of the database; return the seconds in all and of the longest step."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.close()
    switch("postgres")
    execute("DROP DATABASE IF EXISTS copied")
    execute(f"CREATE DATABASE copied TEMPLATE {name}")
    switch("copied")
    steps = run()
    left = execute(f"SELECT count(*) FROM {SESSION} WHERE age_from < now() - interval '6 h'")  # noqa: S608
    assert left[0][0] == 0, left  # noqa: S101 # else the time means nothing
    switch(name)
    return sum(steps), max(steps)


def switch(name: str) -> None:
    """Use another database of the same server."""
    from django.db import connection

    connection.close()
    connection.settings_dict["NAME"] = name


def ours() -> list[float]:
    """Clean up as `cleanup_sessions` does."""
    from session_mgmt.sessions.cleanup import clean_up
    from session_mgmt.sessions.expiry import expiry_rules

    moments = [time.perf_counter()]
    clean_up(expiry_rules(), "default", report=lambda _: moments.append(time.perf_counter()))
    return [after - before for before, after in pairwise(moments)]


def cascade() -> list[float]:
    """Let the database cascade, a thousand at a time, with no look at who uses them."""
    for table in (SCENE, EVENT, PROGRESS, "session_mgmt_job"):
        (constraint,) = execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %(table)s::regclass"
            " AND contype = 'f'",
            table=table,
        )
        execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint[0]}")
        execute(
            f"ALTER TABLE {table} ADD FOREIGN KEY (session_id) REFERENCES {SESSION}"
            " ON DELETE CASCADE NOT VALID"
        )
    from django.db import connection

    steps, removed = [], 1
    while removed:
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(CHUNK)
            removed = cursor.rowcount
        steps.append(time.perf_counter() - started)
    return steps


def django_delete() -> list[float]:
    """Call `QuerySet.delete()` once."""
    from datetime import timedelta

    from django.utils import timezone

    from session_mgmt.models import GenerationSession

    started = time.perf_counter()
    old = timezone.now() - timedelta(hours=6)
    GenerationSession.objects.filter(status="completed", age_from__lt=old).delete()
    return [time.perf_counter() - started]


CONTENDERS: dict[str, Callable[[], list[float]]] = {
    "by hand: cascade in chunks": cascade,
    "ours": ours,
    "QuerySet.delete()": django_delete,
}


def under_load(sessions: int, writers: int) -> None:
    """Clean up while others renew, and print what both saw."""
    from django.db import connection

    ids = [str(row[0]) for row in execute(f"SELECT id FROM {SESSION}")]  # noqa: S608
    connection.close()
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    results = context.Queue()
    started = [
        context.Process(target=renew, args=(ids, number, stop, results))
        for number in range(writers)
    ]
    for process in started:
        process.start()
    time.sleep(1)
    memory = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
    moment = time.perf_counter()
    steps = ours()
    took = time.perf_counter() - moment
    memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    stop.set()
    parts = [results.get() for _ in started]
    for process in started:
        process.join()
    left = {str(row[0]) for row in execute(f"SELECT id FROM {SESSION}")}  # noqa: S608
    renewed = {one for part in parts for one in part[0]}
    waits = sorted(wait for part in parts for wait in part[1])
    orphans = execute(
        f"SELECT count(*) FROM {SCENE} c LEFT JOIN {SESSION} s ON s.id = c.session_id"  # noqa: S608
        " WHERE s.id IS NULL"
    )
    print(f"{sessions - len(left):,} of {sessions:,} sessions removed in {took:.0f} s")
    print(f"longest transaction {max(steps):.3f} s, memory grew by {memory[1] - memory[0]:,} KiB")
    print(
        f"{len(waits):,} renewals: longest {waits[-1]:.3f} s, p99 {waits[-len(waits) // 100]:.3f}"
    )
    print(f"{len(renewed):,} sessions were renewed, {len(renewed - left)} of them are gone")
    print(f"{orphans[0][0]} scenes without a session")


def renew(
    ids: list[str],
    number: int,
    stop: Event,
    results: multiprocessing.Queue[tuple[list[str], list[float]]],
) -> None:
    """Renew sessions at random until told to stop; send back which were, and how long it took."""
    from session_mgmt.sessions import session_manager

    order = random.Random(number)  # noqa: S311 # no secret
    renewed, waits = [], []
    while not stop.is_set():
        session_id = order.choice(ids)
        started = time.perf_counter()
        if session_manager.renew_session(session_id):
            renewed.append(session_id)
        waits.append(time.perf_counter() - started)
        time.sleep(0.002)
    results.put((renewed, waits))


if __name__ == "__main__":
    main()
