"""What a tracked step costs: `python -m benchmarks.progress`.

The limit is a loop of prepared UPDATEs of one narrow row, written by hand with psycopg, which
commits each; our contender is `progress.step()`, whose thread writes four times a second. Both
run in turn in one process, on PostgreSQL with durable commits, each thread with its own session.
A counter in memory shows which stalls are Python's and the machine's own: a thread that has to
give way to seven others is away for 35 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from example_project.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias
    from uuid import UUID

    from django.db.backends.base.base import BaseDatabaseWrapper

    Step: TypeAlias = Callable[[int], object]
    Contender: TypeAlias = Callable[[UUID, contextlib.ExitStack], Step]
    Loop: TypeAlias = Callable[[Step, float], list[float]]

UPDATE = """
    UPDATE session_mgmt_progress SET current_step = %s, total_steps = 0, description = '',
        updated_at = now() WHERE session_id = %s
"""


def main() -> None:
    """Start a database, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="blocks of each contender")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a block")
    arguments = parser.parse_args()
    if url := os.environ.get("DATABASE_URL"):
        measure(url, arguments.repeats, arguments.seconds)
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user when this is root
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            measure(server.url, arguments.repeats, arguments.seconds)


def measure(url: str, repeats: int, seconds: float) -> None:
    """Print, for 1 and 8 threads, steps and statements a second and the longest stalls."""
    configure(url)
    for number in (1, 8):
        keys = new_sessions(number)
        rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        statements = []
        for _ in range(repeats):
            for name, contender in CONTENDERS.items():
                with counted_statements() as heard:
                    rates[name].append(sum(run(contender, keys, seconds, counted)) / seconds)
                statements.append(len(heard) / seconds)
        print(f"\n{number} threads; the buffer makes {max(statements):.1f} statements/s at most")
        for name, contender in CONTENDERS.items():
            show(name, rates, sorted(run(contender, keys, seconds, timed)))


def show(name: str, rates: dict[str, list[float]], took: list[float]) -> None:
    """Print one row."""
    median, limit = (statistics.median(rates[one]) for one in (name, "prepared UPDATE"))
    print(
        f"  {name:16} {median:11,.0f}/s ({min(rates[name]):,.0f} to {max(rates[name]):,.0f})"
        f"  {median / limit:8.2f} of the limit;  one call: p99.99 "
        f"{took[int(len(took) * 0.9999)] * 1e3:.3f} ms, longest {took[-1] * 1e3:.1f} ms"
    )


def configure(url: str) -> None:
    """Set Django up on a database and create the tables."""
    import environ
    from django.conf import settings

    settings.configure(
        DATABASES={"default": environ.Env.db_url_config(url)},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "session_mgmt"],
        SECRET_KEY="none",  # noqa: S106 # nothing is signed
        USE_TZ=True,
    )
    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == ("on",), name  # noqa: S101 # else nothing is durable


def new_sessions(number: int) -> list[UUID]:
    """Create sessions with progress and return their ids."""
    from session_mgmt.models import GenerationSession, Progress
    from session_mgmt.schemas import ProgressUpdate

    keys = [
        GenerationSession.objects.create(request_data={"story_text": "x"}).pk for _ in range(number)
    ]
    for key in keys:
        Progress.objects.record(key, ProgressUpdate(current_step=0, total_steps=0))
    return keys


def locked_counter(key: UUID, stack: contextlib.ExitStack) -> Step:
    """Return the least that counts right in threads, and a look at the clock."""
    lock, state = threading.RLock(), [0, 0.0]

    def step(n: int) -> None:
        with lock:
            state[0] += 1
            state[1] = time.time()

    return step


def prepared_update(key: UUID, stack: contextlib.ExitStack) -> Step:
    """Return what a person would write who wants one fast UPDATE for each step."""
    from django.db import connection

    wanted = ("dbname", "user", "password", "host", "port")
    target = {k: v for k, v in connection.get_connection_params().items() if k in wanted}
    session = psycopg.connect(**target, autocommit=True, prepare_threshold=0)
    cursor = stack.enter_context(session).cursor()
    return lambda step: cursor.execute(UPDATE, (step, key))


def tracked_step(key: UUID, stack: contextlib.ExitStack) -> Step:
    """Return ours."""
    from session_mgmt.models import GenerationSession

    progress = stack.enter_context(GenerationSession.objects.get(pk=key).track())
    return lambda step: progress.step()


CONTENDERS: dict[str, Contender] = {
    "a counter": locked_counter,
    "prepared UPDATE": prepared_update,
    "progress.step()": tracked_step,
}


def counted(step: Step, until: float) -> list[float]:
    """Call until then and return how often, as a list of one."""
    done = 0
    while time.perf_counter() < until:
        for _ in range(20):
            done += 1
            step(done)
    return [done]


def timed(step: Step, until: float) -> list[float]:
    """Call until then and return how long each call took, in seconds."""
    took: list[float] = []
    clock = time.perf_counter
    before = clock()
    while before < until:
        step(len(took))
        took.append(clock() - before)
        before = clock()
    return took


def run(contender: Contender, keys: list[UUID], seconds: float, loop: Loop) -> list[float]:
    """Run the loop for each session in a thread of its own; return everything they return."""
    from django.db import connection

    from session_mgmt.db.write_behind import flush

    results: list[float] = []
    barrier = threading.Barrier(len(keys))

    def work(key: UUID) -> None:
        with contextlib.ExitStack() as stack:
            step = contender(key, stack)
            connection.close()
            barrier.wait()
            results.extend(loop(step, time.perf_counter() + seconds))

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flush()
    return results


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Collect the statements of the flusher's connections."""
    from django.db.backends.signals import connection_created

    heard: list[str] = []

    def spy(execute: Callable[..., object], sql: str, *rest: object) -> object:
        heard.append(sql)
        return execute(sql, *rest)

    def watch(connection: BaseDatabaseWrapper, **_: object) -> None:
        if "flusher" in threading.current_thread().name:
            connection.execute_wrappers.append(spy)

    connection_created.connect(watch)
    try:
        yield heard
    finally:
        connection_created.disconnect(watch)


if __name__ == "__main__":
    main()
