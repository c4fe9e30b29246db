"""Count in one object from 8 processes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.jobs.racing import WARM_UP, Contender, in_turn, race, scalar
from benchmarks.objects.blocks import show, title
from benchmarks.objects.counters import CLASS, TABLE, Counter, connect, fill, tidy, total
from benchmarks.objects.models import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.jobs.racing import Work

__all__ = ["contention"]

PROCESSES = 8
INCREMENTS = 100  # of each process
LIMIT = "limit: psycopg, UPDATE of the JSON, x = x + 1"
_ADD = f"""
    UPDATE {TABLE} SET version = version + 1, updated_at = now(),
        state = jsonb_set(state, '{{counter}}', to_jsonb((state->>'counter')::bigint + 1))
    WHERE class_name = '{CLASS}' AND partition_id = %s AND object_id = 1
"""  # noqa: S608 # names


def contention(repeats: int, scale: float) -> None:
    """Compare increments a second of all processes together; none may be lost."""
    from django.db import connections

    for partition in (0, 1):
        fill(1, partition=partition)
    tally = Tally.objects.create()
    table = Tally._meta.db_table
    connections.close_all()

    def stored() -> int:
        return int(scalar(f"SELECT counter FROM {table} WHERE id = {tally.pk}"))  # noqa: S608 # ours

    contenders = [
        Contender(LIMIT, _add, total, is_idempotent=False),
        Contender("ours, retry_on_conflict, default options", _ours, total, is_idempotent=False),
        Contender(
            "ours, retry_on_conflict, prepared",
            lambda: _ours(1),
            lambda: total(partition=1),
            is_idempotent=False,
        ),
        Contender("Django, F('counter') + 1", lambda: _f(tally.pk), stored, is_idempotent=False),
        Contender(
            "Django, select_for_update + save",
            lambda: _locked(tally.pk),
            stored,
            is_idempotent=False,
        ),
    ]
    shares = [[*range(WARM_UP + int(INCREMENTS * scale))] for _ in range(PROCESSES)]
    rates: dict[str, list[float]] = {one.name: [] for one in contenders}
    for _, one in in_turn(contenders, repeats):
        connections.close_all()
        tidy()
        rates[one.name].append(race(one, shares))
    title(f"Increments of one counter by {PROCESSES} processes")
    show(rates, LIMIT)


def _add() -> Work:
    cursor = connect().cursor()

    def work(share: Sequence[Any]) -> None:
        for _ in share:
            cursor.execute(_ADD, [0])

    return work


def _ours(partition: int = 0) -> Work:
    from session_mgmt.objects import OaasConfig, configure_oaas

    configure_oaas(OaasConfig(auto_commit=False))
    counter = Counter.load(1, partition_id=partition)

    def work(share: Sequence[Any]) -> None:
        for _ in share:
            counter.increment_surely()

    return work


def _f(key: int) -> Work:
    from django.db.models import F

    def work(share: Sequence[Any]) -> None:
        for _ in share:
            Tally.objects.filter(pk=key).update(counter=F("counter") + 1)

    return work


def _locked(key: int) -> Work:
    from django.db import transaction

    def work(share: Sequence[Any]) -> None:
        for _ in share:
            with transaction.atomic():
                tally = Tally.objects.select_for_update().get(pk=key)
                tally.counter += 1
                tally.save(update_fields=["counter"])

    return work
