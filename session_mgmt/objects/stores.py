"""Keep objects in the database, or in memory for mock mode; both by the same rules."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from django.db import connections, router, transaction

from session_mgmt.conf import get_settings
from session_mgmt.db import run_in_transaction
from session_mgmt.db.connection import release
from session_mgmt.exceptions import CommitOutcomeUnknownError
from session_mgmt.models.object_read import read_objects
from session_mgmt.models.object_write import Change, Key, apply_changes, stored_versions
from session_mgmt.models.stored_object import StoredObject
from session_mgmt.objects.locks import renew_after_fork
from session_mgmt.objects.record import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["DatabaseStore", "MemoryStore", "Store"]

_IDS_IN_A_QUERY: Final = 10_000
_PAUSE: Final = 0.2


class Store(Protocol):
    """Where objects are."""

    is_database: ClassVar[bool]

    def place(self, partition_id: int) -> str:
        """Return the name of the database that holds a partition."""

    def read(self, cls_id: str, partition_id: int, object_ids: Sequence[int]) -> dict[int, Row]:
        """Return those of the objects that exist, by id."""

    def apply(self, place: str, changes: Iterable[Change], *, wait: bool) -> set[Key]:
        """Make changes inside of a transaction: see `apply_changes`."""

    def versions(self, place: str, changes: Sequence[Change]) -> dict[Key, tuple[int, int]]:
        """Return version and writer of what is stored: see `stored_versions`."""

    def transact(self, place: str, work: Callable[[], None]) -> None:
        """Run `work` as one transaction, again after transient errors; it may run twice."""

    def on_commit(self, place: str, hook: Callable[[], None]) -> None:
        """Call `hook` when the transaction that is open has committed, before anybody else's."""

    def will_call(self, place: str, hook: Callable[[], None]) -> bool:
        """Tell whether a hook waits for its transaction, which is this thread's, to commit."""


class DatabaseStore:
    """Objects are rows of `StoredObject`.

    A router may give partitions databases of their own: it gets `partition_id` as a hint.
    """

    is_database: ClassVar[bool] = True

    def place(self, partition_id: int) -> str:
        """Return the alias that Django's routers name."""
        return router.db_for_write(StoredObject, partition_id=partition_id)

    def read(self, cls_id: str, partition_id: int, object_ids: Sequence[int]) -> dict[int, Row]:
        """One query for each 10,000 ids; from the database that takes the writes."""
        place = self.place(partition_id)
        found: dict[int, Row] = {}
        with _giving_back(place):
            for start in range(0, len(object_ids), _IDS_IN_A_QUERY):
                part = object_ids[start : start + _IDS_IN_A_QUERY]
                for number, *row in read_objects(place, cls_id, partition_id, part):
                    found[number] = Row._make(row)
        return found

    def apply(self, place: str, changes: Iterable[Change], *, wait: bool) -> set[Key]:
        """One statement for each kind of change."""
        return apply_changes(place, changes, wait=wait)

    def versions(self, place: str, changes: Sequence[Change]) -> dict[Key, tuple[int, int]]:
        """One query."""
        return stored_versions(place, changes)

    def transact(self, place: str, work: Callable[[], None]) -> None:
        """Also after a COMMIT without an answer: `apply_changes` can be repeated safely."""
        deadline = time.monotonic() + get_settings().RETRY_BUDGET.total_seconds()
        with _giving_back(place):
            while True:
                try:
                    return run_in_transaction(work, using=place)
                except CommitOutcomeUnknownError:
                    if time.monotonic() + _PAUSE > deadline:
                        raise
                time.sleep(_PAUSE)

    def on_commit(self, place: str, hook: Callable[[], None]) -> None:
        """Django's own, but at the front: another hook may use the objects."""
        transaction.on_commit(hook, using=place, robust=True)
        hooks = connections[place].run_on_commit
        hooks.insert(0, hooks.pop())

    def will_call(self, place: str, hook: Callable[[], None]) -> bool:
        """Look through the hooks; a rollback, also to a savepoint, takes away its own."""
        return any(one == hook for _, one, *_ in connections[place].run_on_commit)


@contextmanager
def _giving_back(place: str) -> Iterator[None]:
    """Give a pool's connection back if it was fetched here: a thread that ends would not."""
    connection = connections[place]
    is_fetched = connection.connection is None and "pool" in connection.settings_dict["OPTIONS"]
    try:
        yield
    finally:
        if is_fetched:
            release(connection)


class MemoryStore:
    """Objects live as long as this store, and only this process sees them."""

    is_database: ClassVar[bool] = False

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._lock = threading.RLock()
        self._undo: list[tuple[Key, Row | None]] | None = None
        renew_after_fork(self)

    def place(self, partition_id: int) -> str:
        """Return what stands for this process's memory."""
        return "memory"

    def read(self, cls_id: str, partition_id: int, object_ids: Sequence[int]) -> dict[int, Row]:
        """Return copies; a row cannot change."""
        with self._lock:
            keys = {number: (cls_id, partition_id, number) for number in object_ids}
            return {number: self._rows[key] for number, key in keys.items() if key in self._rows}

    def apply(self, place: str, changes: Iterable[Change], *, wait: bool) -> set[Key]:
        """Do what the statements of `object_write` do."""
        done = set()
        with self._lock:
            for change in changes:
                row = self._rows.get(change.key)
                if not _may(change, row):
                    continue
                if self._undo is not None:
                    self._undo.append((change.key, row))
                if change.kind == "delete":
                    del self._rows[change.key]
                else:
                    self._rows[change.key] = Row(change.state, change.version, change.writer)
                done.add(change.key)
        return done

    def versions(self, place: str, changes: Sequence[Change]) -> dict[Key, tuple[int, int]]:
        """Return them without a query."""
        with self._lock:
            rows = {change.key: self._rows.get(change.key) for change in changes}
        return {key: (row.version, row.writer) for key, row in rows.items() if row}

    def transact(self, place: str, work: Callable[[], None]) -> None:
        """Undo everything when `work` raises."""
        with self._lock:
            undo = self._undo = []
            try:
                work()
            except BaseException:
                for key, row in reversed(undo):
                    if row is None:
                        self._rows.pop(key, None)
                    else:
                        self._rows[key] = row
                raise
            finally:
                self._undo = None

    def on_commit(self, place: str, hook: Callable[[], None]) -> None:
        """Call it at once: nothing fails after it."""
        hook()

    def will_call(self, place: str, hook: Callable[[], None]) -> bool:
        """Return False: it was called."""
        return False


def _may(change: Change, row: Row | None) -> bool:
    """Tell whether an object is as the writer of a change knows it."""
    if row is None:
        return change.kind == "insert"
    is_own = row.writer == change.writer and row.version <= change.version
    if change.kind == "insert":
        return is_own
    return is_own or (row.version, row.writer) == (change.base, change.seen)
