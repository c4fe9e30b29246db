"""Commit objects in the background: one statement an interval, each object for itself.

The flusher's thread writes, on a connection of its own. What it cannot write now, because a method
runs or the row is locked, waits for a later round; what it can never write is logged and counted.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakSet

from django.core.exceptions import SynchronousOnlyOperation

from session_mgmt.conf import get_settings
from session_mgmt.db.flusher import FLUSHER
from session_mgmt.db.write_behind import Buffer
from session_mgmt.exceptions import StateTypeError
from session_mgmt.objects.commits import Pending, write_each
from session_mgmt.objects.locks import renew_after_fork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from session_mgmt.models.object_write import Key
    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.manager import AutoSessionManager

__all__ = ["CommitCounts", "add_manager", "counts", "note_failure", "reschedule", "schedule"]

logger = logging.getLogger(__name__)


class _Process:
    """What all managers of this process share."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._managers: WeakSet[AutoSessionManager] = WeakSet()
        self.failures = {"stale": 0, "failed": 0}
        renew_after_fork(self)

    def add(self, manager: AutoSessionManager) -> None:
        with self._lock:
            self._managers.add(manager)

    def interval(self) -> float:
        """Return the shortest interval of all."""
        with self._lock:
            intervals = [manager.auto_commit_interval for manager in self._managers]
        return min(intervals, default=get_settings().FLUSH_INTERVAL.total_seconds())

    def fail(self, kind: str) -> None:
        with self._lock:
            self.failures[kind] += 1


_PROCESS: Final = _Process()


class CommitCounts(NamedTuple):
    """What became of objects that were committed without anybody waiting, in this process.

    Attributes:
        waiting: they are in the buffer.
        written: rounds of the flusher wrote or looked at them.
        requeued: how often one was kept because the database was away or busy.
        stale: somebody else had changed them; what was changed here is not written.
        failed: they could not be stored, or the database refused them for good.
    """

    waiting: int
    written: int
    requeued: int
    stale: int
    failed: int


def schedule(obj: BaseObject) -> None:
    """Have an object committed within the interval.

    Raises:
        BufferFullError: too many wait for a database that does not keep up.
    """
    record, session = obj._record, obj.session
    buffer = _OBJECTS if session.data_manager.is_database else _IN_MEMORY
    try:
        buffer.put((*record.meta, id(obj)), obj, session._place)
    except SynchronousOnlyOperation:  # FLUSH_INTERVAL is 0, and an event loop runs
        record.is_queued = False
    except BaseException:
        record.is_queued = False
        raise


def reschedule() -> None:
    """Take a new interval into account for what waits already."""
    _OBJECTS.reschedule()
    _IN_MEMORY.reschedule()


def add_manager(manager: AutoSessionManager) -> None:
    """Take a manager's interval into account; the shortest of all counts."""
    _PROCESS.add(manager)


def note_failure(kind: str) -> None:
    """Count something that could not be committed: "stale" or "failed"."""
    _PROCESS.fail(kind)


def counts() -> CommitCounts:
    """Return what happened so far."""
    parts = [_OBJECTS.counts, _IN_MEMORY.counts]
    return CommitCounts(
        sum(one.waiting for one in parts),
        sum(one.written for one in parts),
        sum(one.requeued for one in parts),
        _PROCESS.failures["stale"],
        _PROCESS.failures["failed"] + sum(one.failed for one in parts),
    )


def _write(using: str, items: Sequence[tuple[object, BaseObject]]) -> None:
    batches: dict[int, dict[Key, Pending]] = {}
    again: list[BaseObject] = []
    looked_at: list[BaseObject] = []
    for _, obj in items:
        pending = _prepared(obj)
        if pending is None:
            if obj._record.is_handed_out and not FLUSHER.is_finishing:
                looked_at.append(obj)  # who holds a list of it may change that any time
            continue
        batch = batches.setdefault(id(obj.session.data_manager), {})
        if pending.change.key in batch:
            again.append(obj)  # another copy of the same row: the next round finds it changed
        else:
            batch[pending.change.key] = pending
    for batch in batches.values():
        parts = [*batch.values()]
        again += write_each(parts[0].obj.session.data_manager, using, parts)
    for obj in again:
        obj._record.is_queued = True
        schedule(obj)
    for obj in looked_at:
        obj.session._unit.schedule(obj)


def _prepared(obj: BaseObject) -> Pending | None:
    try:
        return obj.session._unit.prepare_in_background(obj)
    except StateTypeError as error:
        note_failure("failed")
        logger.error("%r cannot be committed: %s", obj, error)  # noqa: TRY400 # it says it all
        return None


_OBJECTS: Final[Buffer[tuple[str, int, int, int], BaseObject]] = Buffer(
    "objects", _write, interval=_PROCESS.interval, max_pending=sys.maxsize
)
_IN_MEMORY: Final[Buffer[tuple[str, int, int, int], BaseObject]] = Buffer(
    "objects in memory", _write, interval=_PROCESS.interval, max_pending=sys.maxsize, durable=False
)
