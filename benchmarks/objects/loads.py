"""Load 1 and 1,000 objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.objects import statements
from benchmarks.objects.blocks import Contender, measured, show, title
from benchmarks.objects.counters import Counter, connect, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["loads"]

ROWS = 10_000
LIMIT = "limit: psycopg, prepared SELECT + json.loads"


def loads(repeats: int, scale: float) -> None:
    """Compare them; what is loaded is thrown away."""
    from session_mgmt.models import StoredObject
    from session_mgmt.objects import OaasConfig, configure_oaas

    configure_oaas(OaasConfig(auto_commit=False))
    for partition in (0, 1):
        fill(ROWS, partition=partition)
    keys = dict(StoredObject.objects.filter(partition_id=0).values_list("object_id", "pk"))
    cursor = connect().cursor()

    def in_bulk(ids: Sequence[int]) -> list[str]:
        found = StoredObject.objects.in_bulk([keys[number] for number in ids])
        return [one.state["title"] for one in found.values()]

    one: dict[str, Callable[[int], str]] = {
        LIMIT: lambda number: str(statements.load_one(cursor, number)["title"]),
        "ours, load, default options": lambda number: Counter.load(number).title,
        "ours, load, prepared": lambda number: Counter.load(number, partition_id=1).title,
        "Django, get": lambda number: str(
            StoredObject.objects.get(
                class_name="bench.Counter", partition_id=0, object_id=number
            ).state["title"]
        ),
        "Django, in_bulk": lambda number: in_bulk([number])[0],
    }
    many: dict[str, Callable[[Sequence[int]], list[str]]] = {
        LIMIT: lambda ids: [state["title"] for state in statements.load(cursor, ids).values()],
        "ours, load_many, default options": partial(_ours, 0),
        "ours, load_many, prepared": partial(_ours, 1),
        "Django, in_bulk": in_bulk,
    }
    _compare("Load of 1 object", 1, one, repeats, max(20, int(500 * scale)))
    _compare(
        "Load of 1,000 objects (objects a second)", 1_000, many, repeats, max(2, int(10 * scale))
    )


def _ours(partition: int, ids: Sequence[int]) -> list[str]:
    return [one.title for one in Counter.load_many(ids, partition_id=partition)]


def _compare(
    text: str, objects: int, works: dict[str, Callable[[Any], Any]], repeats: int, times: int
) -> None:
    contenders = [_contender(name, work, objects) for name, work in works.items()]
    rates = measured(contenders, repeats, times)
    title(text)
    show(rates, LIMIT, unit=objects)


def _contender(name: str, work: Callable[[Any], Any], objects: int) -> Contender:
    """Return it with ids from all over the table, other ones each time."""
    turns, got = [0], []

    def ids() -> list[int]:
        first = turns[0] * 7919 % (ROWS - objects + 1) + 1
        return [*range(first, first + objects)]

    def load() -> None:
        got[:] = [work(ids()[0] if objects == 1 else ids())]
        turns[0] += 1

    def check(times: int) -> None:
        turns[0] -= 1
        wanted = [f"counter {number}" for number in ids()]
        turns[0] += 1
        if sorted([got[0]] if objects == 1 else got[0]) != sorted(wanted):
            raise RuntimeError(f"{name} has loaded other objects")

    return Contender(name, load, check=check)
