"""What statistics and health of many sessions cost: `python -m benchmarks.statistics`.

Ours and hand-written statements of psycopg, prepared, in turn on one connection of a PostgreSQL
that is filled with sessions first; the hand-written ones are checked to find the same. With
DATABASE_URL the rows go into that database, which must be empty, and are removed again. One session
of 500 is being processed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from example_project.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable

FILL = """
INSERT INTO session_mgmt_generationsession
    (id, is_active, created_at, updated_at, status, request_data, error_message, last_accessed,
     last_event, idempotency_key, request_fingerprint)
SELECT
    gen_random_uuid(), true, made, made,
    CASE WHEN n % 500 = 0 THEN 'processing' WHEN n % 10 < 8 THEN 'completed'
         WHEN n % 10 = 8 THEN 'failed' WHEN n % 2 = 0 THEN 'pending' ELSE 'cancelled' END,
    jsonb_build_object('story_text', repeat('Once upon a time. ', 20)), '', made, 1, '', ''
FROM generate_series(1, {sessions}) AS n,
     LATERAL (SELECT now() - random() * interval '48 h' AS made) AS _;

INSERT INTO session_mgmt_progress (session_id, current_step, total_steps, description, updated_at)
SELECT id, 1, 10, 'Drawing',
       CASE WHEN random() < 0.9 THEN greatest(created_at, now() - interval '1 minute')
            ELSE created_at END
FROM session_mgmt_generationsession;

INSERT INTO session_mgmt_job
    (is_active, created_at, updated_at, job_type, target_id, run_number, parameters, status,
     progress, current_step, attempt, priority, error_message, session_id, lease_expires_at)
SELECT true, created_at, now(), 'draw', id, 1, jsonb_build_object(),
       CASE status WHEN 'processing' THEN 'running' ELSE 'completed' END,
       0, '', 1, 0, '', id,
       CASE WHEN random() < 0.5 THEN now() + interval '1 hour' ELSE created_at END
FROM session_mgmt_generationsession;
"""
TABLES = ("session_mgmt_job", "session_mgmt_progress", "session_mgmt_generationsession")

STATISTICS = """
SELECT status, count(*), min(age_from), max(age_from), {average},
       count(*) FILTER (WHERE age_from > %(under_1h)s),
       count(*) FILTER (WHERE age_from > %(under_6h)s),
       count(*) FILTER (WHERE age_from > %(under_24h)s)
FROM session_mgmt_generationsession GROUP BY status
"""
HEALTH = """
SELECT (SELECT count(*) FROM session_mgmt_generationsession),
       (SELECT count(*) FROM session_mgmt_generationsession s
        WHERE status = 'processing' AND last_accessed < %(stuck)s
          AND NOT EXISTS (SELECT FROM session_mgmt_progress
                          WHERE session_id = s.id AND updated_at >= %(stuck)s)
          AND NOT EXISTS (SELECT FROM session_mgmt_job WHERE session_id = s.id
                          AND status = 'running' AND lease_expires_at > now()))
"""


def main() -> None:
    """Start a database, fill it, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="only 20,000 sessions")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each contender")
    parser.add_argument("--plans", action="store_true", help="print how PostgreSQL does it")
    arguments = parser.parse_args()
    sessions = 20_000 if arguments.quick else arguments.sessions
    if url := os.environ.get("DATABASE_URL"):
        measure(url, sessions, arguments.repeats, plans=arguments.plans)
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user when this is root
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            measure(server.url, sessions, arguments.repeats, plans=arguments.plans)


def measure(url: str, sessions: int, repeats: int, *, plans: bool) -> None:
    """Print for each question how long ours and the hand-written statements take."""
    configure(url)
    fill(sessions)
    try:
        for question, contenders in {"statistics": stats(), "health": health()}.items():
            check(question, contenders, sessions)
            compare(f"{question} of {sessions:,} sessions", contenders, repeats)
        if plans:
            print_plans()
    finally:
        execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")


def compare(title: str, contenders: dict[str, Callable[[], Any]], repeats: int) -> None:
    """Run the contenders in turn and print medians; the ratio is that of neighbouring runs."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            took[name].append((time.perf_counter() - started) * 1000)
    best = min((name for name in contenders if name != "ours"), key=lambda n: median(took[n]))
    print(f"\n{title}")
    for name, times in took.items():
        low, _, high = statistics.quantiles(times, n=4)
        ratio = median([a / b for a, b in zip(times, took[best], strict=True)])
        print(
            f"  {name:32} {median(times):8.1f} ms  (half of the runs {low:.1f} to {high:.1f})"
            f"  {ratio:.2f} of the best statement"
        )


median = statistics.median


def stats() -> dict[str, Callable[[], Any]]:
    """Return the ways to get the statistics."""
    from session_mgmt.sessions.stats import performance_stats

    def by_hand(average: str) -> Callable[[], Any]:
        return lambda: execute(STATISTICS.format(average=average), **cutoffs())

    return {
        "ours": lambda: performance_stats("default", None),
        "by hand, average of intervals": by_hand("avg(%(now)s - age_from)"),
        "by hand, average of seconds": by_hand("avg(date_part('epoch', age_from))"),
    }


def health() -> dict[str, Callable[[], Any]]:
    """Return the ways to get the health."""
    from session_mgmt.sessions.stats import health_status

    return {
        "ours": lambda: health_status("default", None, cleanup_active=False),
        "by hand": lambda: execute(HEALTH, **cutoffs()),
    }


def check(question: str, contenders: dict[str, Callable[[], Any]], sessions: int) -> None:
    """Run each once and see that all of them find the same."""
    ours, *others = (run() for run in contenders.values())
    if question == "health":
        found = [(int(ours["session_count"]), int(ours["stuck_sessions"])), others[0][0]]
        assert found[0][1] > 0, found  # noqa: S101 # else the time means nothing
    else:
        found = [ours["status_breakdown"], *(dict(row[:2] for row in rows) for rows in others)]
        assert sum(found[0].values()) == sessions, found  # noqa: S101 # as above
    assert all(one == found[0] for one in found), found  # noqa: S101 # as above


def cutoffs() -> dict[str, Any]:
    """Return the moments that the hand-written statements compare with."""
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    hours = {f"under_{hours}h": now - timedelta(hours=hours) for hours in (1, 6, 24)}
    return {"now": now, "stuck": now - timedelta(minutes=30), **hours}


def configure(url: str) -> None:
    """Set Django up on an empty database."""
    import environ
    from django.conf import settings

    settings.configure(
        DATABASES={"default": environ.Env.db_url_config(url) | {"CONN_MAX_AGE": None}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "session_mgmt",
        ],
        USE_TZ=True,
    )
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def fill(sessions: int) -> None:
    """Make the rows, and let PostgreSQL know them."""
    if execute("SELECT 1 FROM session_mgmt_generationsession LIMIT 1"):
        raise SystemExit("DATABASE_URL: there are sessions in this database; name an empty one")
    for statement in FILL.split(";\n"):
        if statement.strip():
            execute(statement.format(sessions=sessions))
    for table in TABLES:
        execute(f"VACUUM ANALYZE {table}")


def execute(statement: str, **values: Any) -> list[Any]:
    """Run a statement straight through psycopg, prepared when it has values."""
    from django.db import connection

    connection.ensure_connection()
    cursor = connection.connection.execute(statement, values or None, prepare=bool(values))
    return cursor.fetchall() if cursor.description else []


def print_plans() -> None:
    """Print the plans of our queries."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for run in (stats()["ours"], health()["ours"]):
        with CaptureQueriesContext(connection) as captured:
            run()
        for query in captured:
            print("\n" + "\n".join(row[0] for row in execute(f"EXPLAIN ANALYZE {query['sql']}")))


if __name__ == "__main__":
    main()
