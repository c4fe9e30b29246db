"""Keep account of what is changed in the objects of a session, and what of it is written.

The lock is held for moments only: never while a method of the user's runs, and never while the
database is asked. So whoever commits in the background may take it at any time, and two sessions
never wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_mgmt.exceptions import ObjectNotFoundError, StaleObjectError
from session_mgmt.objects.commits import Pending
from session_mgmt.objects.periods import Periods

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.commits import Batch
    from session_mgmt.objects.record import Record

__all__ = ["Unit"]


class Unit(Periods):
    """The objects of one session and their changes."""

    def add(self, obj: BaseObject) -> None:
        """Take a new object."""
        with self.lock:
            meta = obj._record.meta
            self.objects[meta] = obj
            if self.is_busy:
                self.remember_absence(obj)
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
        if record.is_stale or record.is_gone or record.is_deleted:
            return
        if record.is_watched and self.is_prepared(obj):
            return
        with self.lock:
            self._before_change(obj)
            self.hold_watched(obj)
        self.schedule(obj)

    def delete(self, obj: BaseObject) -> None:
        """Have an object deleted at the next commit; harmless twice."""
        record = obj._record
        with self.lock:
            if record.is_deleted:
                return
            self._before_change(obj)
            record.is_deleted = True
            record.changes += 1
            if not record.issued:
                record.is_gone = True
                self.tidy(obj)
                return
            self.hold(obj)
        self.schedule(obj)

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
            self.find_void()
            chosen = {**dict(self.watched.items()), **self.unsaved}
            if if_idle:
                chosen = {meta: obj for meta, obj in chosen.items() if not obj._record.is_in_doubt}
            stale = [*self.stale.values()]
            if only is not None:
                wanted = {obj._record.meta for obj in only}
                chosen = {meta: obj for meta, obj in chosen.items() if meta in wanted}
                stale = [obj for obj in stale if obj._record.meta in wanted]
            if stale:
                raise StaleObjectError([_name(obj._record) for obj in stale])
            return [
                one
                for obj in chosen.values()
                if not obj._record.is_stale and (one := self.pending(obj))
            ]

    def prepare_in_background(self, obj: BaseObject) -> Pending | None:
        """Return what can be written of one object now; None if nothing.

        If a method runs or a scope is open, that is what the object was like before.

        Raises:
            StateTypeError: as with `prepare`.
        """
        record = obj._record
        with self.lock:
            record.is_queued = False
            if record.is_stale or record.is_in_doubt:
                return None  # the end of its transaction decides
            if record.meta not in self.before:
                return self.pending(obj)
            image = self.before[record.meta][1]
            change = record.change(image)
            return change and Pending(obj, change, image.changes)

    def note_batch(self, batch: Batch) -> None:
        """Take note of what was written.

        A scope that fails later goes back to this, and not to before it.
        """
        with self.lock:
            for obj, change, changes in batch.pending:
                record = obj._record
                self.forget_past(obj, change.version, is_unchanged=record.changes == changes)
                if not batch.is_settled:
                    record.note_written(change, changes)
                    record.batch = batch
                    self.in_doubt[record.meta] = obj
                    self.tidy(obj)

    def settle(self, one: Pending) -> None:
        """Take note that a change is committed."""
        obj, change, changes = one
        record = obj._record
        with self.lock:
            if record.is_gone and change.kind != "delete" and change.writer == record.writer:
                # It was deleted and that committed, while its row was on the way.
                record.is_gone, record.is_deleted, record.issued = False, True, change.version
                self.hold(obj)
            record.confirm(change)
            if change.kind == "delete" or not (record.is_gone or record.is_deleted):
                record.note_written(change, changes)
            self.tidy(obj)
        self.schedule(obj)  # if there is more to write by now

    def _before_change(self, obj: BaseObject) -> None:
        record = obj._record
        if record.is_gone or record.is_deleted:
            raise ObjectNotFoundError(*_name(record), record.meta.partition_id)
        if record.batch is not None:
            self.look_for_void(obj)
        if record.is_stale:
            raise StaleObjectError([_name(record)])
        if self.is_busy:
            self.remember(obj)


def _name(record: Record) -> tuple[str, int]:
    return record.meta.cls_id, record.meta.object_id
