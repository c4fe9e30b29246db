"""What a limit costs who creates sessions: `python -m benchmarks.capacity`.

The same creation without a limit, far below one, and at one where each makes room, in turn on a
PostgreSQL that is filled with sessions first, by one client and by several processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cleanup import SESSION
from benchmarks.statistics import configure, execute
from example_project.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier

FILL = f"""
INSERT INTO {SESSION}
    (id, is_active, created_at, updated_at, status, request_data, error_message, last_accessed,
     last_event, idempotency_key, request_fingerprint)
SELECT gen_random_uuid(), true, made, made, 'completed', '{{{{"story_text": "x"}}}}', '', made,
       1, '', ''
FROM generate_series(1, {{sessions}}) AS n,
     LATERAL (SELECT now() - interval '5 h' + n * interval '3 h' / {{sessions}} AS made) AS _
"""  # noqa: S608 # a table's name


def main() -> None:
    """Start a database, fill it, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=7, help="blocks of each contender")
    parser.add_argument("--creations", type=int, default=300, help="in a block, by each client")
    arguments = parser.parse_args()
    there = arguments.sessions
    limits = {"no limit": None, "far from the limit": 2 * there, "at the limit, evict": there}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user when this is root
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            configure(server.url)
            execute(FILL.format(sessions=there))
            execute(f"VACUUM ANALYZE {SESSION}")
            for clients in (1, 8):
                compare(limits, clients, arguments.repeats, arguments.creations)


def compare(limits: dict[str, int | None], clients: int, repeats: int, creations: int) -> None:
    """Print how many sessions a second are created under each limit."""
    from django.db import connection

    from session_mgmt.sessions.capacity import trim

    rates: dict[str, list[float]] = {name: [] for name in limits}
    for _ in range(repeats):
        for name, limit in limits.items():
            trim(limits["at the limit, evict"] or 0, "default")
            connection.close()
            rates[name].append(clients * creations / in_processes(clients, limit, creations))
    print(f"\n{clients} clients")
    for name, values in rates.items():
        ratio = statistics.median(a / b for a, b in zip(values, rates["no limit"], strict=True))
        print(f"  {name:22} {statistics.median(values):8,.0f}/s  {ratio:.2f} of none")


def in_processes(clients: int, limit: int | None, creations: int) -> float:
    """Return the seconds that so many processes take, counted from the moment all are ready."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(clients + 1)
    target: Callable[..., None] = create
    started = [
        context.Process(target=target, args=(limit, creations, barrier)) for _ in range(clients)
    ]
    for process in started:
        process.start()
    barrier.wait()
    moment = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - moment
    for process in started:
        process.join()
    return took


def create(limit: int | None, creations: int, barrier: Barrier) -> None:
    """Create sessions under a limit."""
    from session_mgmt import GenerationRequest
    from session_mgmt.sessions import SessionManager

    manager = SessionManager(limit, None)
    request = GenerationRequest(story_text="x")
    manager.create_session(request)  # connects, and counts what is there
    barrier.wait()
    for _ in range(creations):
        manager.create_session(request)
    barrier.wait()


if __name__ == "__main__":
    main()
