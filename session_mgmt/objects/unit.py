"""Keep account of what is changed in the objects of a session, and what of it is written.

The lock is held for moments only: never while a method of the user's runs, and never while the
database is asked. So whoever commits in the background may take it at any time, and two sessions
never wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_mgmt.exceptions import ObjectNotFoundError, StaleObjectError
from session_mgmt.objects.holding import Holding, Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.commits import Pending
    from session_mgmt.objects.metadata import ObjectMetadata
    from session_mgmt.objects.record import Image, Record

__all__ = ["Unit"]


class Unit(Holding):
    """The objects of one session and their changes."""

    def __init__(self, scheduler: Scheduler | None) -> None:
        super().__init__(scheduler)
        self._scopes: list[dict[ObjectMetadata, tuple[BaseObject, Image]]] = []
        self._running = 0
        self._touched: dict[ObjectMetadata, BaseObject] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a method runs or a scope is open, so that nobody else may commit."""
        return self._running > 0 or bool(self._scopes)

    @property
    def depth(self) -> int:
        """How many scopes are open, one in another."""
        return len(self._scopes)

    def add(self, obj: BaseObject) -> None:
        """Take a new object."""
        with self.lock:
            meta = obj._record.meta
            self.objects[meta] = obj
            if self._scopes:
                self._scopes[-1][meta] = (obj, obj._record.image()._replace(is_gone=True))
            self.hold(obj)
        self.schedule(obj)

    def change(self, obj: BaseObject, name: str, value: object) -> None:
        """Set a field to a value that it can have."""
        record = obj._record
        with self.lock:
            self._before_change(obj)
            record.state[name] = value
            record.is_dirty = True
            record.changes += 1
            if name in record.schema.mutable:
                self.hold_watched(obj)
            self.hold(obj)
            is_due = self.queue(obj)
        if is_due and self.scheduler:
            self.scheduler.schedule(obj)

    def watch(self, obj: BaseObject) -> None:
        """Look later whether a value that is handed out now was changed inside."""
        record = obj._record
        if record.is_stale or record.is_gone:
            return
        if record.is_queued and record.is_watched and not self._scopes:
            return
        with self.lock:
            self._before_change(obj)
            self.hold_watched(obj)
        self.schedule(obj)

    def delete(self, obj: BaseObject) -> None:
        """Have an object deleted at the next commit."""
        with self.lock:
            self._before_change(obj)
            record = obj._record
            record.is_deleted = True
            record.changes += 1
            if not record.issued:
                record.is_gone = True
                self.tidy(obj)
                return
            self.hold(obj)
        self.schedule(obj)

    def begin_method(self) -> None:
        """Let nobody else commit before `end_method`."""
        with self.lock:
            self._running += 1

    def end_method(self) -> None:
        """Let what was changed be committed, if this was the outermost method."""
        with self.lock:
            self._running -= 1
            touched = [] if self.is_busy else self._taken_touched()
        for obj in touched:
            self.schedule(obj)

    def enter_scope(self) -> None:
        """Begin to remember what objects were before they are changed."""
        with self.lock:
            self._scopes.append({})

    def leave_scope(self, *, failed: bool) -> list[BaseObject]:
        """End the innermost scope, putting back what was if it failed; return its objects."""
        with self.lock:
            changed = self._scopes.pop()
            for obj, image in changed.values():
                if failed:
                    obj._record.restore(image)
                    if not obj._record.is_stale:
                        self.stale.pop(obj._record.meta, None)
                    self.tidy(obj)
                elif self._scopes:
                    self._scopes[-1].setdefault(obj._record.meta, (obj, image))
            touched = [] if self.is_busy else self._taken_touched()
        for obj in touched:
            self.schedule(obj)
        return [obj for obj, _ in changed.values()]

    def scope_objects(self) -> list[BaseObject]:
        """Return the objects that the innermost scope has seen changed so far."""
        with self.lock:
            return [obj for obj, _ in self._scopes[-1].values()] if self._scopes else []

    def prepare(
        self, only: Iterable[BaseObject] | None = None, *, if_idle: bool = False
    ) -> list[Pending]:
        """Return what a commit has to write, for all objects or for some.

        Args:
            only: some.
            if_idle: return nothing while a method runs or a scope is open.

        Raises:
            StaleObjectError: an object has changes that can no longer be written.
            StateTypeError: a value was changed inside to something that cannot be stored.
        """
        with self.lock:
            if if_idle and self.is_busy:
                return []
            chosen = {**self.watched, **self.unsaved}
            stale = [*self.stale.values()]
            if only is not None:
                wanted = {obj._record.meta for obj in only}
                chosen = {meta: obj for meta, obj in chosen.items() if meta in wanted}
                stale = [obj for obj in stale if obj._record.meta in wanted]
            if stale:
                raise StaleObjectError([_name(obj._record) for obj in stale])
            return [one for obj in chosen.values() if (one := self.pending(obj))]

    def prepare_in_background(self, obj: BaseObject) -> Pending | None:
        """Return what is to be written of one object now; None if nothing, or if it is busy.

        Raises:
            StateTypeError: as with `prepare`.
        """
        with self.lock:
            obj._record.is_queued = False
            if self.is_busy:
                self._touched[obj._record.meta] = obj  # whoever ends the method schedules it
                return None
            if obj._record.is_stale:
                return None
            pending = self.pending(obj)
            if pending is None:
                self.tidy(obj)
            return pending

    def note_written(self, pending: Iterable[Pending]) -> None:
        """Take note of what was written, though its transaction may still be rolled back.

        A scope that fails later goes back to this, and not to before it.
        """
        with self.lock:
            for obj, change, changes in pending:
                obj._record.note_written(change, changes)
                for images in self._scopes:
                    images.pop(obj._record.meta, None)
                self.tidy(obj)

    def confirm(self, one: Pending) -> None:
        """Take note that a change is committed."""
        with self.lock:
            one.obj._record.confirm(one.change)

    def settle(self, one: Pending) -> None:
        """Do both for a change that was committed in the background."""
        obj, change, changes = one
        record: Record = obj._record
        with self.lock:
            if record.is_gone and change.kind != "delete":
                # It was deleted and that committed, while its row was on the way.
                record.is_gone, record.is_deleted = False, True
                self.hold(obj)
            record.confirm(change)
            if not record.is_gone:
                record.note_written(change, changes)
            self.tidy(obj)
            look_again = record.is_dirty or record.is_deleted or record.is_watched
        if look_again and not record.is_gone:
            self.schedule(obj)  # who changes it inside may go on doing so

    def mark_stale(self, obj: BaseObject) -> None:
        """Write nothing of an object before it is refreshed."""
        with self.lock:
            obj._record.is_stale = True
            self.stale[obj._record.meta] = obj
            self.tidy(obj)

    def _before_change(self, obj: BaseObject) -> None:
        record = obj._record
        if record.is_gone:
            raise ObjectNotFoundError(*_name(record), record.meta.partition_id)
        if record.is_stale:
            raise StaleObjectError([_name(record)])
        if self._scopes and record.meta not in self._scopes[-1]:
            self._scopes[-1][record.meta] = (obj, record.image())

    def queue(self, obj: BaseObject) -> bool:
        """Do so, or wait for the end of the method or scope that is in progress."""
        if self._running or self._scopes:
            self._touched[obj._record.meta] = obj
            return False
        return super().queue(obj)

    def _taken_touched(self) -> list[BaseObject]:
        taken, self._touched = [*self._touched.values()], {}
        return taken


def _name(record: Record) -> tuple[str, int]:
    return record.meta.cls_id, record.meta.object_id
