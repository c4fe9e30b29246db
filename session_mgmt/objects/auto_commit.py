"""Commit objects in the background: one statement an interval, each object for itself.

The flusher's thread writes, on a connection of its own. What it cannot write now, because a method
runs or the row is locked, waits for a later round; what it can never write is logged and counted.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakSet

from django.core.exceptions import SynchronousOnlyOperation

from session_mgmt.conf import get_settings
from session_mgmt.db.write_behind import Buffer
from session_mgmt.exceptions import StateTypeError
from session_mgmt.objects.commits import Pending, write_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from session_mgmt.models.object_write import Key
    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.manager import AutoSessionManager

__all__ = ["MANAGERS", "CommitCounts", "counts", "note_failure", "reschedule", "schedule"]

logger = logging.getLogger(__name__)

MANAGERS: Final[WeakSet[AutoSessionManager]] = WeakSet()

_LOCK: Final = threading.Lock()
_FAILURES: Final = {"stale": 0, "failed": 0}


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
        buffer.put((*record.meta, record.writer), obj, session._place)
    except SynchronousOnlyOperation:  # FLUSH_INTERVAL is 0, and an event loop runs
        record.is_queued = False
    except BaseException:
        record.is_queued = False
        raise


def reschedule() -> None:
    """Take a new interval into account for what waits already."""
    _OBJECTS.reschedule()
    _IN_MEMORY.reschedule()


def note_failure(kind: str, number: int = 1) -> None:
    """Count objects that could not be committed: "stale" or "failed"."""
    with _LOCK:
        _FAILURES[kind] += number


def counts() -> CommitCounts:
    """Return what happened so far."""
    parts = [_OBJECTS.counts, _IN_MEMORY.counts]
    return CommitCounts(
        sum(one.waiting for one in parts),
        sum(one.written for one in parts),
        sum(one.requeued for one in parts),
        _FAILURES["stale"],
        _FAILURES["failed"] + sum(one.failed for one in parts),
    )


def _interval() -> float:
    intervals = [manager.auto_commit_interval for manager in MANAGERS]
    return min(intervals, default=get_settings().FLUSH_INTERVAL.total_seconds())


def _write(using: str, items: Sequence[tuple[object, BaseObject]]) -> None:
    batches: dict[int, dict[Key, Pending]] = {}
    again: list[BaseObject] = []
    for _, obj in items:
        pending = _prepared(obj)
        if pending is None:
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


def _prepared(obj: BaseObject) -> Pending | None:
    try:
        return obj.session._unit.prepare_in_background(obj)
    except StateTypeError as error:
        note_failure("failed")
        logger.error("%r cannot be committed: %s", obj, error)  # noqa: TRY400 # it says it all
        return None


_OBJECTS: Final[Buffer[tuple[str, int, int, int], BaseObject]] = Buffer(
    "objects", _write, interval=_interval
)
_IN_MEMORY: Final[Buffer[tuple[str, int, int, int], BaseObject]] = Buffer(
    "objects in memory", _write, interval=_interval, durable=False
)
