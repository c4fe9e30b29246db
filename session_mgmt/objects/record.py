"""Know what one object's row is like, as far as this copy of the object can tell.

A record is changed under the lock of its session, and by nobody else than that session, the
object's own fields, and who commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from session_mgmt.models.object_write import Change
from session_mgmt.objects.ids import epoch, new_object_id

if TYPE_CHECKING:
    from session_mgmt.objects.metadata import ObjectMetadata
    from session_mgmt.objects.state import StateSchema, Values

__all__ = ["Image", "Record", "Row"]


class Row(NamedTuple):
    """An object as it is stored.

    Attributes:
        state: its fields as JSON text.
        version: grows with each commit.
        writer: the number of the copy that wrote it.
    """

    state: str
    version: int
    writer: int


class Image(NamedTuple):
    """What a record was like at a moment to which it may have to go back."""

    state: str
    is_dirty: bool
    is_deleted: bool
    is_gone: bool


class Record:
    """One copy of an object in this process, and what it knows of the row.

    Attributes:
        meta: which object.
        schema: the fields of its class.
        state: their values.
        saved: the state as JSON when it was written or read last; empty for a new object.
        is_dirty: a field was assigned, or the object is new, since then.
        is_watched: a list or the like was handed out; it may change inside without a sign.
        is_queued: it waits in the buffer of auto-commit.
        is_stale: somebody else has changed the row; nothing is written before a refresh.
        is_deleted: it is to be deleted.
        is_gone: it was deleted, or its creation was taken back.
        is_stored: there is a row, as far as is confirmed.
        is_local: it was asked for as local; all are, so it only says where it is listed.
        changes: counts what happened to the state, to see whether something came in between.
    """

    __slots__ = (
        "changes",
        "epoch",
        "is_deleted",
        "is_dirty",
        "is_gone",
        "is_local",
        "is_queued",
        "is_stale",
        "is_stored",
        "is_watched",
        "issued",
        "meta",
        "saved",
        "schema",
        "seen",
        "state",
        "version",
        "writer",
    )

    def __init__(self, meta: ObjectMetadata, schema: StateSchema) -> None:
        self.meta = meta
        self.schema = schema
        self.state: Values = schema.new()
        self.saved = ""
        self.is_dirty = True
        self.is_watched = self.is_queued = self.is_stale = False
        self.is_deleted = self.is_gone = self.is_stored = self.is_local = False
        self.changes = 0
        self.version = self.seen = self.issued = 0
        self.epoch = epoch()
        self.writer = new_object_id()

    def replace(self, row: Row) -> None:
        """Take what is stored; what was changed here and not committed is forgotten."""
        self.state = self.schema.load(row.state)
        self.saved = self.schema.dump(self.state)
        self.version, self.seen = row.version, row.writer
        self.issued = max(self.issued, row.version)
        self.is_stored = True
        self.is_dirty = self.is_watched = self.is_stale = self.is_deleted = self.is_gone = False
        self.changes += 1

    def image(self) -> Image:
        """Return what it is like now, to come back to it."""
        is_clean = self.saved and not self.is_dirty and not self.is_watched
        state = self.saved if is_clean else self.schema.dump(self.state)
        return Image(state, self.is_dirty, self.is_deleted, self.is_gone)

    def restore(self, image: Image) -> None:
        """Be again what it was."""
        self.state = self.schema.load(image.state)
        self.is_dirty, self.is_deleted, self.is_gone = image[1:]
        self.is_watched = False
        self.is_stale &= image.is_dirty
        self.changes += 1

    @property
    def has_changes(self) -> bool:
        """Whether there is something that is not written."""
        if self.is_dirty or self.is_deleted:
            return True
        return self.is_watched and self.schema.dump(self.state) != self.saved

    def change(self) -> Change | None:
        """Return what is to be written, None if there is nothing.

        Raises:
            StateTypeError: a value was changed inside to something that cannot be stored.
        """
        if self.is_gone or not (self.is_dirty or self.is_watched or self.is_deleted):
            return None
        if self.is_deleted:
            return self._numbered("delete", "{}") if self.issued else None
        state = self.schema.dump(self.state)
        if not self.is_dirty and state == self.saved:
            return None
        return self._numbered("update" if self.is_stored else "insert", state)

    def note_written(self, change: Change, changes: int) -> None:
        """Take note that a change was written, in a transaction that may still be rolled back.

        Args:
            change: what `change()` returned.
            changes: what `self.changes` was at that time.
        """
        if change.kind == "delete":
            self.is_gone = True
        self.saved = change.state
        if self.changes == changes:
            self.is_dirty = False

    def confirm(self, change: Change) -> None:
        """Take note that a change is committed."""
        if change.version > self.version:
            self.version, self.seen = change.version, change.writer
        self.is_stored = change.kind != "delete"

    def is_superseded(self, change: Change, found: tuple[int, int] | None) -> bool:
        """Tell whether a change was refused only because this copy has written a newer one.

        Args:
            change: what was refused.
            found: version and writer of the row, None if there is none.
        """
        if found is None:
            return self.is_gone or self.is_deleted or change.kind == "delete"
        version, writer = found
        return writer == change.writer and version >= change.version

    def _numbered(self, kind: str, state: str) -> Change:
        if self.epoch is not epoch():
            # A forked child's copy is another one than its parent's, which writes on as well.
            self.epoch, self.writer = epoch(), new_object_id()
        self.issued = max(self.issued, self.version) + 1
        return Change(kind, *self.meta, state, self.issued, self.version, self.seen, self.writer)
