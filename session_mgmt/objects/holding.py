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


class Holding:
    """The objects of one session.

    Attributes:
        lock: guards everything here and the objects' records.
        objects: those that are in use or have changes, by what they are.
        unsaved: those with changes, and those that were handed out and may have.
        watched: those of which a list or the like was handed out.
        stale: those that somebody else has changed, so that nothing of them can be written.
    """

    def __init__(self, scheduler: Scheduler | None) -> None:
        self.lock = threading.RLock()
        self.objects: WeakValueDictionary[ObjectMetadata, BaseObject] = WeakValueDictionary()
        self.unsaved: dict[ObjectMetadata, BaseObject] = {}
        self.watched: WeakValueDictionary[ObjectMetadata, BaseObject] = WeakValueDictionary()
        self.stale: WeakValueDictionary[ObjectMetadata, BaseObject] = WeakValueDictionary()
        self.scheduler = scheduler
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
        obj._record.is_watched = True
        self.watched[obj._record.meta] = obj
        self.hold(obj)
        if len(self.unsaved) >= self._look_at:
            self.look()
            self._look_at = max(_FEW, 2 * len(self.unsaved))

    def tidy(self, obj: BaseObject) -> None:
        """Let go of an object that has nothing to write."""
        record = obj._record
        if record.is_gone:
            for held in (self.objects, self.watched):
                if held.get(record.meta) is obj:
                    del held[record.meta]
        if record.is_gone or record.is_stale or not (record.is_dirty or record.is_deleted):
            self.unsaved.pop(record.meta, None)
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
        self.stale.pop(obj._record.meta, None)
        self.watched.pop(obj._record.meta, None)
        self.tidy(obj)

    def after_fork(self) -> None:
        """Be a copy that no other thread has locked, and whose changes its parent will write."""
        self.lock = threading.RLock()
        for obj in self.unsaved.values():
            obj._record.is_queued = False


def _after_fork() -> None:
    for holding in _HOLDINGS:
        holding.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
