"""Let contenders do the same work in turn, in processes, and print how they compare."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.synchronize import Barrier
    from typing import TypeAlias

    Work: TypeAlias = Callable[[Sequence[Any]], None]
    Rates: TypeAlias = dict[str, dict[str, list[float]]]

__all__ = ["WARM_UP", "Contender", "compare", "durabilities", "in_turn", "race", "scalar", "sql"]

WARM_UP = 20  # each process connects and lets its statements be prepared before the clock starts


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: what the table calls it; the first contender is the limit.
        open: called in each process, returns what works through a share.
        rows: counts what has been worked off so far.
        is_idempotent: whether items that are there twice are worked off once.
    """

    name: str
    open: Callable[[], Work]
    rows: Callable[[], int]
    is_idempotent: bool = True


def sql(statement: str) -> None:
    """Execute on a connection of its own, which no child process inherits."""
    with psycopg.connect(os.environ["BENCHMARK_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement)


def scalar(statement: str) -> Any:
    """Return the first value of the first row."""
    with psycopg.connect(os.environ["BENCHMARK_DATABASE_URL"], autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
    return row[0] if row else None


def durabilities() -> Iterator[str]:
    """Switch durable commits on, then off."""
    for value in ("on", "off"):
        sql(f"ALTER SYSTEM SET synchronous_commit = {value}")
        sql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 10
        while scalar("SHOW synchronous_commit") != value:
            if time.monotonic() > deadline:
                raise TimeoutError(value)
            time.sleep(0.05)
        time.sleep(0.2)  # the backends that are just starting have read it, too
        yield value


def in_turn(contenders: Sequence[Contender], repeats: int) -> Iterator[tuple[int, Contender]]:
    """Give every contender its turn in every repeat, each repeat beginning with another."""
    for repeat in range(repeats):
        at = repeat % len(contenders)
        for contender in (*contenders[at:], *contenders[:at]):
            yield repeat, contender


def race(contender: Contender, shares: Sequence[Sequence[Any]]) -> float:
    """Return how many items a second processes work off, one process for each share.

    Raises:
        RuntimeError: they did not do what was asked.
    """
    before = contender.rows()
    rate = _timed(contender, shares)
    items = [item for share in shares for item in share]
    done, wanted = contender.rows() - before, len(set(items) if contender.is_idempotent else items)
    if done != wanted:
        raise RuntimeError(f"{contender.name} left {done} rows instead of {wanted}")
    return rate


def _timed(contender: Contender, shares: Sequence[Sequence[Any]]) -> float:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(shares) + 1, timeout=600)
    started = [context.Process(target=_work, args=(contender, share, barrier)) for share in shares]
    for process in started:
        process.start()
    barrier.wait()
    moment = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - moment
    for process in started:
        process.join()
    return (sum(map(len, shares)) - WARM_UP * len(shares)) / took


def _work(contender: Contender, share: Sequence[Any], barrier: Barrier) -> None:
    try:
        work = contender.open()
        work(share[:WARM_UP])
        barrier.wait()
        work(share[WARM_UP:])
        barrier.wait()
    except BaseException:
        traceback.print_exc()
        barrier.abort()
        raise


def compare(title: str, limit: str, rates: Rates) -> None:
    """Print medians, what half of the repeats spread over, and ratios of neighbouring runs."""
    print(f"\n{title}\n  {'':44}", end="")
    print("".join(f"{f'synchronous_commit={value}':>42}" for value in rates))
    for name in next(iter(rates.values())):
        cells = [_cell(by_name[name], by_name[limit]) for by_name in rates.values()]
        print(f"  {name:44}{''.join(cells)}", flush=True)


def _cell(values: list[float], limits: list[float]) -> str:
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    ratio = statistics.median(a / b for a, b in zip(values, limits, strict=True))
    spread = f"({low:,.0f} to {high:,.0f})"
    return f"{statistics.median(values):>12,.0f}/s {spread:>19} = {ratio:5.2f}"
