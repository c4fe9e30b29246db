"""Create trivial jobs and let one worker process of each system run them to their end."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from benchmarks.jobs import ticks
from benchmarks.jobs.racing import durabilities
from benchmarks.jobs.statements import JOB
from benchmarks.jobs.tables import TASKS, counter, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["whole_way"]

JOBS = 300
SINGLES = 5  # for the latency; a worker that polls makes one wait for a second
PATIENCE = 120.0
LEGEND = """
  I: created once, however many ask (i: only until it starts). D: durable, with
  synchronous_commit=on. F: fenced, an attempt that lost its job writes nothing more. R: run again
  without anybody's doing when its worker died. B: survives the loss of the broker.
"""
CELERY_ENGINE = "session_mgmt.jobs.celery"

_DB_WORKER = ("django", "db_worker", "--no-startup-delay", "--verbosity", "0")
_CELERY = ("celery", "-A", "benchmarks.jobs.systems:celery_app", "worker", "--concurrency", "1")
_CELERY_QUIET = (*_CELERY, "--loglevel", "ERROR")
_PROCRASTINATE = ("procrastinate", "--app=benchmarks.jobs.systems.procrastinate_app", "worker")
_PGQUEUER = ("benchmarks.jobs.pgqueuer_worker",)


@dataclass(frozen=True)
class System:
    """What creates jobs and what runs them.

    Attributes:
        name: what the table calls it.
        guarantees: the letters that `LEGEND` explains.
        producer: the name of what creates its jobs.
        worker: the module to run and its arguments.
        finished: counts the jobs whose end is recorded, if it is.
        environment: what the worker, and the creating process, get on top.
    """

    name: str
    guarantees: str
    producer: str
    worker: tuple[str, ...]
    finished: Callable[[], int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


_ended = counter(JOB, "status = 'completed' AND attempt = 1")
_successful = counter(TASKS, "status = 'SUCCESSFUL'")
_PREPARED = {"BENCHMARK_PREPARED": "1"}
_OVER_CELERY = {"BENCHMARK_ENGINE": f"{CELERY_ENGINE}.CeleryEngine"}
SYSTEMS = (
    System("ours over django-tasks-db", "I D F R B", "ours", _DB_WORKER, _ended),
    System("ours over it, prepared", "I D F R B", "ours", _DB_WORKER, _ended, _PREPARED),
    System("ours over Celery", "I D F R B", "ours", _CELERY_QUIET, _ended, _OVER_CELERY),
    System(
        "ours over it, CELERY_DB_REUSE_MAX, prepared",
        "I D F R B",
        "ours",
        _CELERY_QUIET,
        _ended,
        _OVER_CELERY | _PREPARED,
    ),
    System("django-tasks-db", "- D - - B", "tasks_db", _DB_WORKER, _successful),
    System("Celery on Redis", "- - - - -", "celery", _CELERY_QUIET),
    System(
        "procrastinate",
        "i D - - B",
        "procrastinate",
        _PROCRASTINATE,
        counter("procrastinate_jobs", "status = 'succeeded'"),
        {"PROCRASTINATE_LOG_LEVEL": "warning"},  # none of the others says what it does
    ),
    System(
        "pgqueuer",
        "I D - R B",
        "pgqueuer",
        _PGQUEUER,
        counter("pgqueuer_log", "status = 'successful'"),
    ),
)


def whole_way(repeats: int, scale: float) -> None:
    """Compare how fast trivial jobs are created and run, and how soon one starts."""
    systems = SYSTEMS
    if find_spec(CELERY_ENGINE) is None:
        print(f"\n{CELERY_ENGINE} is not there, so ours over Celery is left out")
        systems = tuple(s for s in SYSTEMS if s.environment.get("BENCHMARK_ENGINE") is None)
    jobs = max(100, int(JOBS * scale))  # with fewer, the first ones count too much
    for durability in durabilities():
        figures: list[list[tuple[float, float, float]]] = [[] for _ in systems]
        for _ in range(repeats):
            for index, system in enumerate(systems):
                figures[index].append(one_way(system, jobs))
        show(f"{jobs} trivial jobs, 1 worker, synchronous_commit={durability}", systems, figures)


def show(
    title: str, systems: tuple[System, ...], figures: list[list[tuple[float, float, float]]]
) -> None:
    """Print one row for each system."""
    print(f"\n{title}\n  {'':45}{'created':>12}{'run, middle half':>32}{'to its start':>16}")
    for system, results in zip(systems, figures, strict=True):
        created, run, latency = (list(column) for column in zip(*results, strict=True))
        low, _, high = statistics.quantiles(run, n=4, method="inclusive")
        print(
            f"  {system.name:45}{statistics.median(created):10,.0f}/s"
            f"{statistics.median(run):12,.0f}/s {f'({low:,.0f} to {high:,.0f})':>17}"
            f"{statistics.median(latency) * 1000:13,.1f} ms   {system.guarantees}",
            flush=True,
        )
    print(LEGEND)


def one_way(system: System, jobs: int) -> tuple[float, float, float]:
    """Return creations and runs a second, and the median seconds from a creation to its start."""
    fill(0)
    ticks.clear()
    keys = [f"job-{n}" for n in range(jobs)]
    singles = [f"single-{n}" for n in range(SINGLES)]
    begun: dict[str, float] = {}
    command = ["benchmarks.jobs.producers", system.producer]
    with module(command, system.environment) as producer:
        _create(producer, ["warm-up"])
        _, took = _create(producer, keys)
        with module(system.worker, system.environment) as worker:
            wait_for(1 + jobs, system, worker)
            moments = [moment for _, moment in ticks.read()]
            for number, key in enumerate(singles, start=1):
                time.sleep(0.03 * number)  # not in step with a worker that polls
                begun[key], _ = _create(producer, [key])
                wait_for(1 + jobs + number, system, worker)
    noted = ticks.read()
    if Counter(key for key, _ in noted) != Counter(["warm-up", *keys, *singles]):
        raise RuntimeError(f"{system.name} did not run every job once")
    waits = [moment - begun[key] for key, moment in noted if key in begun]
    return jobs / took, jobs / (moments[-1] - moments[0]), statistics.median(waits)


def _create(producer: subprocess.Popen[str], keys: list[str]) -> tuple[float, float]:
    assert producer.stdin  # noqa: S101 # for the reader: both are pipes
    assert producer.stdout  # noqa: S101
    print(*keys, file=producer.stdin, flush=True)
    begun, took = producer.stdout.readline().split()
    return float(begun), float(took)


@contextmanager
def module(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Run a module in the background, and let it end."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603 # our own programs
            [sys.executable, "-m", *arguments],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield process
        except BaseException:
            log.seek(0)
            print(log.read()[-3000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def wait_for(jobs: int, system: System, worker: subprocess.Popen[str]) -> None:
    """Wait until so many jobs have been run and their end is recorded."""
    deadline = time.monotonic() + PATIENCE
    while len(ticks.read()) < jobs or (system.finished and system.finished() < jobs):
        if worker.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The worker of {system.name} does not get on: {worker.poll()}")
        time.sleep(0.05)
