"""Commit 1, 100, 1,000 and 10,000 changed objects of 10,000 that are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.objects import statements
from benchmarks.objects.blocks import Contender, measured, show, title
from benchmarks.objects.counters import Counter, connect, fill, tidy, total

if TYPE_CHECKING:
    from session_mgmt.models import StoredObject

__all__ = ["Ours", "commits"]

ROWS = 10_000
TIMES = {1: 300, 100: 40, 1_000: 8, 10_000: 2}
MOST_BULK_UPDATE, MOST_SAVE = 1_000, 100
LIMIT = "limit: psycopg, one UPDATE FROM unnest"


def commits(repeats: int, scale: float) -> None:
    """Compare commits; what changes the objects is not measured, what makes JSON of them is."""
    from session_mgmt.objects import OaasConfig, configure_oaas

    configure_oaas(OaasConfig(auto_commit=False))
    for objects, times in TIMES.items():
        fill(ROWS)
        fill(ROWS, partition=1)
        rates = measured(_contenders(objects), repeats, max(1, int(times * scale)))
        title(f"Commit of {objects:,} changed objects (objects a second)")
        show(rates, LIMIT, unit=objects)


def _contenders(objects: int) -> list[Contender]:
    ours, prepared = Ours(objects), Ours(objects, partition=1)
    plain, strict = HandWritten(objects), HandWritten(objects, is_strict=True)
    contenders = [
        Contender(LIMIT, plain.write, plain.change, plain.begin, plain.check),
        Contender(
            "psycopg, version-checked, in order, BEGIN and COMMIT",
            *(strict.write, strict.change, strict.begin, strict.check),
        ),
        Contender("ours, default options", ours.commit, ours.change, ours.begin, ours.check),
        Contender(
            "ours, prepared", prepared.commit, prepared.change, prepared.begin, prepared.check
        ),
    ]
    django = Models(objects)
    if objects <= MOST_BULK_UPDATE:
        contenders.append(
            Contender("Django, bulk_update", django.bulk, django.change, django.begin, django.check)
        )
    if objects <= MOST_SAVE:
        contenders.append(
            Contender(
                "Django, save() in a loop", django.save, django.change, django.begin, django.check
            )
        )
    return contenders


@dataclass
class _Changing:
    """So many objects that are changed and written; the database is asked how often."""

    objects: int
    partition: int = 0
    ids: list[int] = field(default_factory=list)
    before: int = 0
    alias: str = "default"

    def begin(self) -> None:
        """Read what the contender before has left."""
        tidy(self.alias)
        self.ids = self.ids or [*range(1, self.objects + 1)]
        self.before = total(self.ids, partition=self.partition, alias=self.alias)

    def check(self, times: int) -> None:
        """Compare with what the database has."""
        found = total(self.ids, partition=self.partition, alias=self.alias) - self.before
        if found != times * self.objects:
            raise RuntimeError(
                f"{type(self).__name__}: {found} changes, not {times * self.objects}"
            )


@dataclass
class Ours(_Changing):
    """By our session."""

    counters: list[Counter] = field(default_factory=list)

    def begin(self) -> None:
        """Load them."""
        super().begin()
        self.counters = Counter.load_many(self.ids, partition_id=self.partition)

    def change(self) -> None:
        """Change all."""
        for one in self.counters:
            one.counter += 1

    def commit(self) -> None:
        """Commit all."""
        self.counters[0].session.commit()


@dataclass
class HandWritten(_Changing):
    """By statements."""

    is_strict: bool = False
    states: dict[int, dict[str, Any]] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Load them."""
        super().begin()
        self.cursor = connect(self.alias).cursor()
        self.states = statements.load(self.cursor, self.ids, self.partition)
        self.versions = statements.versions(self.cursor, self.ids)

    def change(self) -> None:
        """Change all."""
        for one in self.states.values():
            one["counter"] += 1

    def write(self) -> None:
        """Write all."""
        if self.is_strict:
            statements.update_strictly(self.cursor, self.states, self.versions)
        else:
            statements.update(self.cursor, self.states, self.partition)

    def check(self, times: int) -> None:
        """Compare, and leave the connection."""
        super().check(times)
        self.cursor.connection.close()


@dataclass
class Models(_Changing):
    """By models of Django on the same rows."""

    rows: list[StoredObject] = field(default_factory=list)

    def begin(self) -> None:
        """Load them."""
        from session_mgmt.models import StoredObject

        super().begin()
        self.rows = [*StoredObject.objects.filter(partition_id=0, object_id__in=self.ids)]

    def change(self) -> None:
        """Change all."""
        for one in self.rows:
            one.state["counter"] += 1

    def bulk(self) -> None:
        """Write all at once."""
        from session_mgmt.models import StoredObject

        StoredObject.objects.bulk_update(self.rows, ["state"])

    def save(self) -> None:
        """Write one after the other, as one transaction."""
        from django.db import transaction

        with transaction.atomic():
            for one in self.rows:
                one.save(update_fields=["state"])
