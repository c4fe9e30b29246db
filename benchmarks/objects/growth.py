"""See whether commits and loads stay as fast as the table grows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from benchmarks.objects import statements
from benchmarks.objects.blocks import Contender, measured, show, title
from benchmarks.objects.commits import HandWritten, Ours
from benchmarks.objects.counters import Counter, connect, fill

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["growth"]

SMALL, LARGE = 10_000, 1_000_000
OBJECTS = 100
PLACES = {SMALL: (0, "default"), LARGE: (2, "large")}


def growth(repeats: int, scale: float) -> None:
    """Compare both tables in turn; the ratio is the speed in the large one to that in the small."""
    from session_mgmt.objects import OaasConfig, configure_oaas

    configure_oaas(OaasConfig(auto_commit=False))
    fill(0, partition=1)  # another operation's
    for rows, (partition, alias) in PLACES.items():
        fill(int(rows * scale), partition=partition, alias=alias)
    title(
        f"From {SMALL * scale:,.0f} to {LARGE * scale:,.0f} rows (objects a second); ratio: growth"
    )
    for make in (_commit, _write, _load, _select):
        contenders = [make(rows, scale) for rows in PLACES]
        rates = measured(contenders, 2 * repeats, max(4, int(40 * scale)))
        show(rates, contenders[0].name, unit=OBJECTS)


def _name(text: str, rows: float) -> str:
    return f"{text} of {OBJECTS}, {rows:,.0f} rows"


def _ids(rows: int, scale: float) -> list[int]:
    numbers = range(1, int(rows * scale) + 1)
    return random.Random(0).sample(numbers, OBJECTS)  # noqa: S311 # a choice that can be repeated


def _commit(rows: int, scale: float) -> Contender:
    one = Ours(OBJECTS, PLACES[rows][0], _ids(rows, scale), alias=PLACES[rows][1])
    return Contender(
        _name("ours, commit", rows * scale), one.commit, one.change, one.begin, one.check
    )


def _write(rows: int, scale: float) -> Contender:
    one = HandWritten(OBJECTS, PLACES[rows][0], _ids(rows, scale), alias=PLACES[rows][1])
    return Contender(
        _name("psycopg, UPDATE", rows * scale), one.write, one.change, one.begin, one.check
    )


def _load(rows: int, scale: float) -> Contender:
    partition = PLACES[rows][0]

    def load(ids: list[int]) -> int:
        return len([one.counter for one in Counter.load_many(ids, partition_id=partition)])

    return _loading("ours, load_many", rows, scale, load)


def _select(rows: int, scale: float) -> Contender:
    partition, alias = PLACES[rows]
    cursor = connect(alias).cursor()
    return _loading(
        *("psycopg, SELECT", rows, scale), lambda ids: len(statements.load(cursor, ids, partition))
    )


def _loading(text: str, rows: int, scale: float, load: Callable[[list[int]], int]) -> Contender:
    """Return one that loads other objects each time."""
    choice, found = random.Random(rows), [0, 0]  # noqa: S311 # a choice that can be repeated
    numbers = range(1, int(rows * scale) + 1)
    ids: list[int] = []

    def choose() -> None:
        ids[:] = choice.sample(numbers, OBJECTS)

    def work() -> None:
        found[0] += load(ids)

    def check(times: int) -> None:
        if found[0] - found[1] != times * OBJECTS:
            raise RuntimeError(f"{text} has found {found[0] - found[1]} objects")
        found[1] = found[0]

    return Contender(_name(text, rows * scale), work, choose, check=check)
