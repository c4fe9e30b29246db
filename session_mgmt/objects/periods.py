"""Know when a method runs or a scope is open, and what the objects were like before that.

What they were like may be written in the background meanwhile, so that a thread which is never idle
loses nothing of what it has completed. A scope that fails goes back to it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from session_mgmt.exceptions import SessionLockError
from session_mgmt.objects.holding import Holding, Scheduler
from session_mgmt.objects.owners import owner

if TYPE_CHECKING:
    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.image import Image
    from session_mgmt.objects.metadata import ObjectMetadata

__all__ = ["Periods"]


class _Scope:
    """A scope that is open: whose it is, and what its objects were before."""

    def __init__(self) -> None:
        self.owner = owner()
        self.images: dict[ObjectMetadata, tuple[BaseObject, Image]] = {}


class Periods(Holding):
    """The objects of one session, and the methods and scopes that are in progress."""

    def __init__(self, scheduler: Scheduler | None) -> None:
        super().__init__(scheduler)
        self._scopes: list[_Scope] = []
        self._running = self._foreign = 0  # methods, and those of them in other threads
        self.before: dict[ObjectMetadata, tuple[BaseObject, Image]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a method runs or a scope is open, so that nobody else may commit."""
        return self._running > 0 or bool(self._scopes)

    @property
    def depth(self) -> int:
        """How many scopes are open, one in another."""
        return len(self._scopes)

    @property
    def has_methods_elsewhere(self) -> bool:
        """Whether other threads than its own run methods of its objects."""
        return self._foreign > 0

    @property
    def has_my_scope(self) -> bool:
        """Whether this thread or task has the innermost open scope."""
        with self.lock:
            return bool(self._scopes) and self._scopes[-1].owner == owner()

    def begin_method(self) -> None:
        """Let nobody else commit what is changed from now on, before `end_method`."""
        with self.lock:
            self._running += 1
            self._foreign += threading.get_ident() != self.thread_id

    def end_method(self) -> None:
        """Let what was changed be committed, if this was the outermost method."""
        with self.lock:
            self._running -= 1
            self._foreign -= threading.get_ident() != self.thread_id
            touched = self._taken_if_idle()
        for obj in touched:
            self.schedule(obj)

    def enter_scope(self) -> None:
        """Begin to remember what objects were before they are changed.

        Raises:
            SessionLockError: another thread or task has a scope open in this session.
        """
        with self.lock:
            if self._scopes and self._scopes[-1].owner != owner():
                raise SessionLockError(f"of objects, of thread {self.thread_id},")
            self._scopes.append(_Scope())
            for obj in list(self.watched.values()):
                if not obj._record.is_stale:
                    self.remember(obj)  # who holds a list of it may change that at any time

    def leave_scope(self, *, failed: bool, is_unknown: bool = False) -> list[BaseObject]:
        """End the innermost scope, putting back what was if it failed; return its objects.

        Args:
            failed: whether to put back what was.
            is_unknown: whether its changes may be committed nevertheless.
        """
        with self.lock:
            changed = [*self._scopes.pop().images.values()]
            for obj, image in changed:
                meta = obj._record.meta
                if failed:
                    obj._record.restore(image)
                    if is_unknown:
                        obj._record.writer = 0  # what it may have written is not in its state
                    if not obj._record.is_stale:
                        self.stale.pop(meta, None)
                    if obj._record.is_dirty and not obj._record.is_gone:
                        self.hold(obj)
                    self.tidy(obj)
                elif self._scopes:
                    self._scopes[-1].images.setdefault(meta, (obj, image))
            touched = self._taken_if_idle()
        for obj in touched:
            self.schedule(obj)
        return [obj for obj, _ in changed]

    def scope_objects(self) -> list[BaseObject]:
        """Return the objects that the innermost scope has seen changed so far."""
        with self.lock:
            return [obj for obj, _ in self._scopes[-1].images.values()] if self._scopes else []

    def remember(self, obj: BaseObject) -> None:
        """Keep what an object is like, unless that is kept already."""
        meta = obj._record.meta
        if self._scopes and meta not in self._scopes[-1].images:
            self._scopes[-1].images[meta] = (obj, obj._record.image())
        if meta not in self.before:
            known = self._scopes[0].images.get(meta) if len(self._scopes) == 1 else None
            self.before[meta] = known or (obj, obj._record.image())

    def remember_absence(self, obj: BaseObject) -> None:
        """Keep that an object was not there before."""
        meta, image = obj._record.meta, obj._record.image()._replace(is_gone=True)
        if self._scopes:
            self._scopes[-1].images[meta] = (obj, image)
        self.before[meta] = (obj, image)

    def forget_past(self, obj: BaseObject, version: int, *, is_unchanged: bool) -> None:
        """Let what was written of an object be what a scope goes back to.

        Args:
            obj: the object.
            version: what was given to the change. If that was before the scope saw the object
                change, what was written is older than what the scope goes back to.
            is_unchanged: whether the object is what was written.
        """
        for scope in self._scopes:
            if (known := scope.images.get(obj._record.meta)) and version > known[1].issued:
                del scope.images[obj._record.meta]
        if is_unchanged:
            self.before.pop(obj._record.meta, None)

    def is_prepared(self, obj: BaseObject) -> bool:
        """Tell whether an object may be changed inside without anything being noted before."""
        if self._scopes:
            return False
        return obj._record.meta in self.before if self._running else obj._record.is_queued

    def look(self) -> None:
        """Do so, but not in the middle of a method, which may have lists of many in hand."""
        if not self.is_busy:
            super().look()

    def queue(self, obj: BaseObject) -> bool:
        """Do so, or wait for the end of the method or scope that is in progress."""
        if obj._record.meta in self.before:
            return False
        return super().queue(obj)

    def after_fork(self) -> None:
        """Do so; what other threads had begun will not end here."""
        super().after_fork()
        if self.thread_id == threading.get_ident():
            self._running -= self._foreign
        else:
            self._running = 0
            self._scopes.clear()
        self._foreign = 0
        self.before.clear()

    def _taken_if_idle(self) -> list[BaseObject]:
        if self.is_busy:
            return []
        taken, self.before = [obj for obj, _ in self.before.values()], {}
        return taken
