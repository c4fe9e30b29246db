"""See whether creation and claim stay as fast as the table grows."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.jobs import claim, creation
from benchmarks.jobs.racing import durabilities, in_turn, race
from benchmarks.jobs.tables import fill

if TYPE_CHECKING:
    from typing import TypeAlias

    Rates: TypeAlias = dict[tuple[str, int], list[float]]

__all__ = ["growth"]

SIZES = (10_000, 1_000_000)
OPERATIONS = 1_000  # in a block

CREATE = tuple(
    replace(contender, name=f"creation, {contender.name}")
    for contender in (creation.SINGLE[0], *creation.OURS)
)
CLAIM = tuple(
    replace(contender, name=f"claim, {contender.name}")
    for contender in (claim.CONTENDERS[0], *claim.OURS)
)


def growth(repeats: int, scale: float) -> None:
    """Print how much longer an operation takes in the large table, without durable commits."""
    number = int(OPERATIONS * scale)
    rates: Rates = {(contender.name, size): [] for contender in CREATE + CLAIM for size in SIZES}
    for durability in durabilities():
        if durability == "on":
            continue  # what a disk takes to flush does not grow
        for repeat in range(repeats):
            for size in SIZES:
                fill(int(size * scale), peers=False)
                _measure(rates, size, repeat, number)
    print(f"\nGrowth from {SIZES[0]:,} to {SIZES[1]:,} pending jobs, synchronous_commit=off")
    for contender in CREATE + CLAIM:
        few, many = (rates[contender.name, size] for size in SIZES)
        times = statistics.median(a / b for a, b in zip(few, many, strict=True))
        print(
            f"  {contender.name:44} {statistics.median(few):8,.0f}/s"
            f" {statistics.median(many):8,.0f}/s  costs {times:.2f} times as much"
        )


def _measure(rates: Rates, size: int, repeat: int, number: int) -> None:
    for _, contender in in_turn(CREATE, 1):
        shares = creation.keys_for(f"{repeat}-{contender.name}", 1, number)
        rates[contender.name, size].append(race(contender, shares))
    for _, contender in in_turn(CLAIM, 1):
        rates[contender.name, size].append(race(contender, claim.pending_ids(1, number)))
