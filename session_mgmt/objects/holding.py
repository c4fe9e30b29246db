"""Hold the objects of a session: strongly those with changes, weakly all others.

Whoever uses an object holds it. What is changed must be written, though nobody uses it any more.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet, WeakValueDictionary

from session_mgmt.exceptions import StateTypeError
from session_mgmt.objects.commits import Pending

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.metadata import ObjectMetadata

__all__ = ["Holding", "Scheduler"]

_HOLDINGS: Final[WeakSet[Holding]] = WeakSet()
_FEW: Final = 1_000


class Scheduler(Protocol):
    """Who commits in the background, and keeps sessions with changes alive until then."""

    def schedule(self, obj: BaseObject) -> None:
        """Have an object committed soon, if that is switched on."""

    def keep(self, holding: Holding) -> None:
        """Hold what has something to write, although its thread may end."""

    def release(self, holding: Holding) -> None:
        """Hold it no longer."""

    def note_failure(self, kind: str) -> None:
        """Count what could not be committed: "stale" or "failed"."""


class Holding:
    """The objects of one session.

    Attributes:
        lock: guards everything here and the objects' records.
        objects: those that are in use or have changes, by what they are.
        unsaved: those with changes, and those that were handed out and may have.
        watched: those of which a list or the like was handed out.
        stale: those that somebody else has changed, so that nothing of them can be written.
        in_doubt: those that were written in a transaction which was open then.
        thread_id: whose they are.
    """

    def __init__(self, scheduler: Scheduler | None) -> None:
        self.lock = threading.RLock()
        self.objects: WeakValueDictionary[ObjectMetadata, BaseObject] = WeakValueDictionary()
        self.unsaved: dict[ObjectMetadata, BaseObject] = {}
        self.watched: WeakValueDictionary[ObjectMetadata, BaseObject] = WeakValueDictionary()
        self.stale: WeakValueDictionary[ObjectMetadata, BaseObject] = WeakValueDictionary()
        self.in_doubt: WeakValueDictionary[ObjectMetadata, BaseObject] = WeakValueDictionary()
        self.scheduler = scheduler
        self.thread_id = threading.get_ident()
        self._look_at = _FEW
        _HOLDINGS.add(self)

    def hold(self, obj: BaseObject) -> None:
        """Hold an object that has, or may have, something to write."""
        if self.unsaved.get(obj._record.meta) is obj:
            return
        self.objects[obj._record.meta] = self.unsaved[obj._record.meta] = obj
        if self.scheduler:
            self.scheduler.keep(self)

    def hold_watched(self, obj: BaseObject) -> None:
        """Hold an object of which a list or the like is handed out."""
        if len(self.unsaved) >= self._look_at:
            self.look()
            self._look_at = max(_FEW, 2 * len(self.unsaved))
        obj._record.watch()
        self.watched[obj._record.meta] = obj
        self.hold(obj)

    def tidy(self, obj: BaseObject) -> None:
        """Let go of an object that has nothing to write."""
        record = obj._record
        if record.is_gone:
            _let_go(obj, self.objects, self.watched)
        has_changes = record.is_dirty or record.is_deleted or record.is_handed_out
        if record.is_gone or record.is_stale or not has_changes:
            _let_go(obj, self.unsaved)
            if not self.unsaved and self.scheduler:
                self.scheduler.release(self)

    def pending(self, obj: BaseObject) -> Pending | None:
        """Return what is to be written of an object, or let go of it.

        Raises:
            StateTypeError: a value was changed inside to something that cannot be stored.
        """
        change = obj._record.change()
        if change is None:
            self.tidy(obj)
            return None
        return Pending(obj, change, obj._record.changes)

    def schedule_all(self) -> None:
        """Have everything that may have changes committed soon."""
        with self.lock:
            objects = [*self.unsaved.values()]
        for obj in objects:
            self.schedule(obj)

    def schedule(self, obj: BaseObject) -> None:
        """Have an object committed soon, unless it waits already.

        Not under the lock: who commits in the background takes it while it holds another one.
        """
        with self.lock:
            is_due = self.queue(obj)
        if is_due and self.scheduler:
            self.scheduler.schedule(obj)

    def queue(self, obj: BaseObject) -> bool:
        """Note that an object is to be committed soon; tell whether the scheduler must be told."""
        record = obj._record
        if record.is_queued or self.scheduler is None or record.meta not in self.unsaved:
            return False
        record.is_queued = True
        return True

    def look(self) -> None:
        """Let go of objects whose lists and the like were handed out and not changed."""
        with self.lock:
            for obj in [*self.unsaved.values()]:
                try:
                    self.pending(obj)
                except StateTypeError:  # it will be told to who commits
                    continue

    def refreshed(self, obj: BaseObject) -> None:
        """Take note that an object is as it is stored, or is not wanted any more."""
        _let_go(obj, self.stale, self.in_doubt, self.watched)
        self.tidy(obj)

    def mark_stale(self, obj: BaseObject) -> None:
        """Write nothing of an object before it is refreshed."""
        with self.lock:
            obj._record.is_stale = True
            obj._record.batch = None
            self.stale[obj._record.meta] = obj
            self.tidy(obj)

    def lose(self, obj: BaseObject) -> None:
        """Mark as stale what nobody waits for, and count it."""
        self.mark_stale(obj)
        if self.scheduler:
            self.scheduler.note_failure("stale")

    def find_void(self) -> None:
        """Mark as stale what was written in a transaction of this thread that was rolled back."""
        for obj in list(self.in_doubt.values()):
            self.look_for_void(obj)

    def look_for_void(self, obj: BaseObject) -> None:
        """Do so for one object."""
        record = obj._record
        if not record.is_in_doubt:
            self.in_doubt.pop(record.meta, None)
        elif record.batch is not None and record.batch.is_void:
            self.in_doubt.pop(record.meta, None)
            self.mark_stale(obj)

    def after_fork(self) -> None:
        """Be a copy that no other thread has locked, and whose changes its parent will write."""
        self.lock = threading.RLock()
        self.unsaved.clear()
        for obj in list(self.objects.values()):
            record = obj._record
            record.is_queued = record.is_dirty = record.is_watched = record.is_deleted = False
            record.batch = None


def _let_go(obj: BaseObject, *held: MutableMapping[ObjectMetadata, BaseObject]) -> None:
    """Take an object out, but not another one which has its id by now."""
    for objects in held:
        if objects.get(obj._record.meta) is obj:
            del objects[obj._record.meta]


def _after_fork() -> None:
    for holding in _HOLDINGS:
        holding.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
