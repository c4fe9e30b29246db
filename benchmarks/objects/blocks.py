"""Let contenders have blocks in turn, check what each has left, and print how they compare."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.jobs.racing import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    Rates: TypeAlias = Mapping[str, Sequence[float]]

__all__ = ["Contender", "block", "measured", "ratios", "show", "title"]


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: what the table calls it.
        work: what is measured.
        prepare: is called before each time; the clock does not run.
        begin: is called before each block.
        check: is called after each block with the number of times, and raises if its result is
            wrong.
    """

    name: str
    work: Callable[[], object]
    prepare: Callable[[], object] = _nothing
    begin: Callable[[], object] = _nothing
    check: Callable[[int], object] = lambda times: None


def block(contender: Contender, times: int) -> float:
    """Return how often a second the work can be done."""
    contender.begin()
    took = 0.0
    clock = time.perf_counter
    gc.collect()
    for _ in range(times):
        contender.prepare()
        before = clock()
        contender.work()
        took += clock() - before
    contender.check(times)
    return times / took


def measured(contenders: Sequence[Contender], repeats: int, times: int) -> dict[str, list[float]]:
    """Return what each contender achieves in its blocks, after one that does not count."""
    for contender in contenders:
        block(contender, 2)
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _, contender in in_turn(contenders, repeats):
        rates[contender.name].append(block(contender, times))
    return rates


def ratios(values: Sequence[float], limits: Sequence[float]) -> list[float]:
    """Return one for each repeat, so that both were measured within moments."""
    return [value / limit for value, limit in zip(values, limits, strict=True)]


def title(text: str) -> None:
    """Print what is measured next."""
    print(f"\n{text}\n  {'':58}{'a second, median (middle half)':>42}{'ratio to the limit':>26}")


def show(rates: Rates, limit: str, *, unit: int = 1) -> None:
    """Print one row for each contender.

    Args:
        rates: what was measured.
        limit: who has the ratio 1.
        unit: how many objects the work is for once.
    """
    for name, values in rates.items():
        relative = ratios(values, rates[limit])
        median = f"{statistics.median(values) * unit:,.0f}"
        spread = "({:,.0f} to {:,.0f})".format(*(unit * one for one in _half(values)))
        ratio = f"{statistics.median(relative):.3g}"
        ratio_spread = "({:.3g} to {:.3g})".format(*_half(relative))
        print(f"  {name:58}{median:>16}{spread:>26}{ratio:>9}{ratio_spread:>17}", flush=True)


def _half(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
