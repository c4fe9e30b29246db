"""Create 1,000 objects and commit them."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.objects import statements
from benchmarks.objects.blocks import Contender, measured, show, title
from benchmarks.objects.counters import CLASS, TABLE, Counter, connect, fill

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["creation"]

OBJECTS = 1_000
TIMES = 5
LIMIT = "limit: psycopg, one INSERT FROM unnest"


def creation(repeats: int, scale: float) -> None:
    """Compare them; making the objects is measured, too."""
    from session_mgmt.objects import OaasConfig, configure_oaas

    configure_oaas(OaasConfig(auto_commit=False))
    objects = int(OBJECTS * scale)
    cursor, numbers = connect().cursor(), itertools.count(1)

    def states() -> dict[int, dict[str, Any]]:
        return {next(numbers): _state(n) for n in range(objects)}

    works: dict[str, Callable[[], object]] = {
        LIMIT: lambda: statements.insert(cursor, states()),
        "psycopg, COPY": lambda: statements.copy(cursor, states()),
        "ours, default options": partial(_ours, objects, 0),
        "ours, prepared": partial(_ours, objects, 1),
        "Django, bulk_create": lambda: _bulk_create(states()),
    }

    def begin() -> None:
        for partition in (0, 1):
            fill(0, partition=partition)

    def check(times: int) -> None:
        found = cursor.execute(
            f"SELECT count(*), count(DISTINCT object_id), "  # noqa: S608 # ours
            f"sum((state->>'counter')::int) FROM {TABLE}"
        ).fetchone()
        if found != (wanted := (times * objects, times * objects, times * sum(range(objects)))):
            raise RuntimeError(f"{found} rows, ids and counters instead of {wanted}")

    contenders = [Contender(name, work, begin=begin, check=check) for name, work in works.items()]
    rates = measured(contenders, repeats, TIMES)
    title(f"Creation and commit of {objects:,} objects (objects a second)")
    show(rates, LIMIT, unit=objects)


def _state(n: int) -> dict[str, Any]:
    return {"counter": n, "title": f"counter {n}", "note": "A note of a few words beside it"}


def _ours(objects: int, partition: int) -> None:
    for n in range(objects):
        one = Counter.create(partition_id=partition)
        one.counter = n
        one.title = f"counter {n}"
    one.session.commit()


def _bulk_create(states: dict[int, dict[str, Any]]) -> None:
    from session_mgmt.models import StoredObject

    StoredObject.objects.bulk_create(
        StoredObject(class_name=CLASS, object_id=number, state=state)
        for number, state in states.items()
    )
