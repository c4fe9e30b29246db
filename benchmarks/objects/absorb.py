"""Change one field over and over while it is committed in the background."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.jobs.racing import in_turn
from benchmarks.objects.blocks import show, title
from benchmarks.objects.counters import CLASS, TABLE, Counter, connect, fill, total
from benchmarks.objects.models import Tally
from benchmarks.progress import counted_statements

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["absorb"]

SECONDS = 2.0
LIMIT = "limit: psycopg, prepared UPDATE"
_UPDATE = f"""
    UPDATE {TABLE} SET state = jsonb_set(state, '{{counter}}', to_jsonb(%s::bigint)),
        version = version + 1, updated_at = now()
    WHERE class_name = '{CLASS}' AND partition_id = 0 AND object_id = 1
"""  # noqa: S608 # names


@dataclass(frozen=True)
class Absorber:
    """One way to count.

    Attributes:
        name: what the table calls it.
        work: counts so many times.
        found: the number that is left at the end, by the database if there is one.
        times: how often to count between two looks at the clock.
    """

    name: str
    work: Callable[[int], object]
    found: Callable[[], int]
    times: int


class _Plain:
    counter = 0


def absorb(repeats: int, scale: float) -> None:
    """Compare counting by our objects with counting in the database, and with Python alone."""
    from session_mgmt.db.write_behind import flush
    from session_mgmt.objects import OaasConfig, configure_oaas

    seconds = max(0.5, SECONDS * scale)
    configure_oaas(OaasConfig(auto_commit=True))
    fill(1)
    absorbers = _ours() + _theirs()
    rates: dict[str, list[float]] = {one.name: [] for one in absorbers}
    statements: dict[str, list[float]] = {one.name: [] for one in absorbers}
    with counted_statements() as heard:
        for _, one in in_turn(absorbers, repeats):
            if one.name.startswith("ours"):
                _load()  # the hand-written contender has changed the row
            before, heard_before = one.found(), len(heard)
            done, took = _spin(one, seconds)
            flush()
            if one.found() - before != done:
                raise RuntimeError(f"{one.name} counted to {one.found() - before}, not {done}")
            rates[one.name].append(done / took)
            statements[one.name].append((len(heard) - heard_before) / took)
    title("Changes absorbed: obj.counter += 1, one process, auto-commit on")
    show(rates, LIMIT)
    for name, values in statements.items():
        if any(values):
            print(f"  {name:58} flusher: {statistics.median(values):.1f} statements a second")


_HELD: list[Counter] = []


def _load() -> None:
    _HELD[:] = [Counter.load(1)]
    _HELD[0].refresh()


def _spin(one: Absorber, seconds: float) -> tuple[int, float]:
    done = 0
    begun = time.perf_counter()
    while time.perf_counter() < begun + seconds:
        one.work(one.times)
        done += one.times
    return done, time.perf_counter() - begun


def _ours() -> list[Absorber]:
    def outside(times: int) -> None:
        obj = _HELD[0]
        for _ in range(times):
            obj.counter += 1

    def inside(times: int) -> None:
        obj = _HELD[0]
        for _ in range(times):
            obj.increment()

    def all_inside(times: int) -> None:
        _HELD[0].increment_often(times)

    return [
        Absorber("ours, outside of methods", outside, total, 1_000),
        Absorber("ours, a method call for each", inside, total, 1_000),
        Absorber("ours, 1,000 in each method call", all_inside, total, 1_000),
    ]


def _theirs() -> list[Absorber]:
    plain = _Plain()

    def attribute(times: int) -> None:
        for _ in range(times):
            plain.counter += 1

    nothing_stored = Absorber(
        "a plain Python object, nothing is stored", attribute, lambda: plain.counter, 1_000
    )
    return [_hand_written(), nothing_stored, *_models()]


def _hand_written() -> Absorber:
    cursor = connect().cursor()
    value = [0]

    def update(times: int) -> None:
        for _ in range(times):
            value[0] += 1
            cursor.execute(_UPDATE, [value[0]])

    def found() -> int:
        value[0] = total()  # the others count the same row
        return value[0]

    return Absorber(LIMIT, update, found, 10)


def _models() -> list[Absorber]:
    from django.db import transaction

    tally = Tally.objects.create()

    def save(times: int) -> None:
        tally.refresh_from_db()
        for _ in range(times):
            tally.counter += 1
            tally.save(update_fields=["counter"])

    def locked(times: int) -> None:
        for _ in range(times):
            with transaction.atomic():
                mine = Tally.objects.select_for_update().get(pk=tally.pk)
                mine.counter += 1
                mine.save(update_fields=["counter"])

    def stored() -> int:
        return Tally.objects.get(pk=tally.pk).counter

    return [
        Absorber("Django model, save(update_fields)", save, stored, 10),
        Absorber("Django model, select_for_update + save", locked, stored, 10),
    ]
