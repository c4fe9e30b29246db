"""Write changed objects: together and all or none, or each for itself in the background."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from session_mgmt.exceptions import StaleObjectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from session_mgmt.models.object_write import Change
    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.stores import Store

__all__ = ["Batch", "Pending", "write_each", "write_together"]

logger = logging.getLogger(__name__)


class Pending(NamedTuple):
    """A change of an object on its way.

    Attributes:
        obj: whose change it is.
        change: what is to be written.
        changes: what the record had counted when the change was made of it.
    """

    obj: BaseObject
    change: Change
    changes: int


class Batch:
    """What one commit has written, until its transaction ends.

    Nobody is told of a rollback. So the thread that wrote looks whether what it wants to be called
    at the COMMIT is still waiting for that.

    Attributes:
        pending: the changes.
        is_settled: whether they are committed.
    """

    def __init__(self, store: Store, place: str, pending: Sequence[Pending]) -> None:
        self.pending = pending
        self.is_settled = False
        self._store = store
        self._place = place
        self._thread = threading.get_ident()

    def settle(self) -> None:
        """Tell the sessions of the objects that the transaction has committed."""
        self.is_settled = True
        for one in self.pending:
            one.obj.session._unit.settle(one)

    @property
    def is_void(self) -> bool:
        """Whether the transaction was rolled back; only the thread that wrote can tell."""
        if self.is_settled or self._thread != threading.get_ident():
            return False
        return not self._store.will_call(self._place, self.settle)


def write_together(store: Store, place: str, pending: Sequence[Pending]) -> Batch:
    """Write the changes as one transaction, or as a part of the caller's.

    Returns:
        What was written; it is settled unless the caller's transaction is open.

    Raises:
        StaleObjectError: somebody else has changed some of the objects; nothing is written.
        CommitOutcomeUnknownError: the database went away during COMMIT and did not come back. All
            or nothing is written; committing again finds out.
    """
    batches: list[Batch] = []

    def work() -> None:
        done = store.apply(place, [one.change for one in pending], wait=True)
        refused = [one for one in pending if one.change.key not in done]
        if refused:
            found = store.versions(place, [one.change for one in refused])
            stale = [one for one in refused if not _is_fine(one, found.get(one.change.key))]
            if stale:
                raise _Refused(stale)
        batches.append(Batch(store, place, pending))
        store.on_commit(place, batches[-1].settle)

    try:
        store.transact(place, work)
    except _Refused as refusal:
        for one in refusal.stale:
            one.obj.session._unit.mark_stale(one.obj)
        names = [(one.change.class_name, one.change.object_id) for one in refusal.stale]
        raise StaleObjectError(names) from None
    return batches[-1]


def write_each(store: Store, place: str, pending: Sequence[Pending]) -> list[BaseObject]:
    """Write each change for itself, inside of a transaction; rows that are locked are left alone.

    What it finds out is told to the sessions when the transaction commits, and not before.

    Returns:
        The objects whose rows somebody else has locked: try them again.
    """
    done = store.apply(place, [one.change for one in pending], wait=False)
    refused = [one for one in pending if one.change.key not in done]
    found = store.versions(place, [one.change for one in refused]) if refused else {}
    written = [one for one in pending if one.change.key in done]
    busy: list[BaseObject] = []
    for one in refused:
        row = found.get(one.change.key)
        if _is_as_known(one.change, row):
            busy.append(one.obj)
        elif one.change.kind == "delete" and row is None:
            written.append(one)  # somebody else has deleted it: that is what was wanted
        elif not _is_fine(one, row):
            store.on_commit(place, partial(_report_stale, one))
    if written:
        store.on_commit(place, Batch(store, place, written).settle)
    return busy


class _Refused(Exception):  # noqa: N818 # it ends a transaction and is not an error by itself
    def __init__(self, stale: list[Pending]) -> None:
        super().__init__()
        self.stale = stale


def _is_fine(one: Pending, row: tuple[int, int] | None) -> bool:
    return one.obj._record.is_superseded(one.change, row)


def _is_as_known(change: Change, row: tuple[int, int] | None) -> bool:
    """Tell whether a change could be made, were it not for a lock."""
    if change.kind == "insert":
        return row is None  # somebody else's row with this id is not committed yet
    if row is None:
        return False
    version, writer = row
    is_own = writer == change.writer and version < change.version
    return is_own or row == (change.base, change.seen)


def _report_stale(one: Pending) -> None:
    one.obj.session._unit.lose(one.obj)
    logger.error(
        "%s %d was changed by somebody else meanwhile; what was changed here is not written",
        *(one.change.class_name, one.change.object_id),
    )
