"""Know what one object's row is like, as far as this copy of the object can tell.

A record is changed under the lock of its session, and by nobody else than that session, the
object's own fields, and who commits.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from session_mgmt.exceptions import StateTypeError
from session_mgmt.models.object_write import Change
from session_mgmt.objects.ids import epoch, new_object_id
from session_mgmt.objects.image import Image, is_held

if TYPE_CHECKING:
    from session_mgmt.objects.commits import Batch
    from session_mgmt.objects.metadata import ObjectMetadata
    from session_mgmt.objects.state import StateSchema, Values

__all__ = ["Record", "Row"]


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


class Record:
    """One copy of an object in this process, and what it knows of the row.

    Attributes:
        meta: which object.
        schema: the fields of its class.
        state: their values.
        saved: the state as JSON when it was written or read last; empty while nobody needs it.
        is_dirty: a field was assigned, or the object is new, since then.
        is_watched: a list or the like was handed out; it may change inside without a sign.
        is_queued: it waits in the buffer of auto-commit.
        is_stale: somebody else has changed the row; nothing is written before a refresh.
        is_deleted: it is to be deleted.
        is_gone: it was deleted, or its creation was taken back.
        is_stored: there is a row, as far as is confirmed.
        is_local: it was asked for as local; all are, so it only says where it is listed.
        changes: counts what happened to the state, to see whether something came in between.
        batch: the commit that has written it in a transaction that was open then, or None.
        version: with `seen`, which is a writer, what the row has as far as is confirmed.
        issued: the newest version that was given to a change.
        writer: the number of this copy, 0 until it is needed. It is drawn anew whenever the state
            becomes another one than what this copy has written, so that "the last writer was me"
            means "with all that is in my state".
    """

    __slots__ = (
        "batch",
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
        "readings",
        "saved",
        "saved_version",
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
        self.changes = self.readings = 0
        self.batch: Batch | None = None
        self.epoch = epoch()
        self.version = self.seen = self.issued = self.saved_version = 0
        self.writer = 0

    def replace(self, row: Row) -> None:
        """Take what is stored; what was changed here and not committed is forgotten."""
        self.state = self.schema.load(row.state)
        self.saved = ""
        self.version, self.seen = row.version, row.writer
        self.saved_version = row.version
        self.issued = max(self.issued, row.version)
        self.is_stored = True
        self.is_dirty = self.is_watched = self.is_stale = self.is_deleted = self.is_gone = False
        self.batch = None
        self.changes += 1
        self.readings += 1
        self.writer = 0

    def image(self) -> Image:
        """Return what it is like now."""
        state = self._copied_state()
        return Image(
            state,
            self.saved,
            self.is_dirty or (self.is_watched and state != self.saved),
            self.is_deleted,
            self.is_gone,
            self.changes,
            self.version,
            self.seen,
            self.issued,
            self.readings,
        )

    def watch(self) -> None:
        """Hand out a value that can change inside; from now on the state is compared."""
        if not (self.saved or self.is_dirty or self.is_watched):
            self.saved = self.schema.dump(self.state)
        self.is_watched = True

    def _copied_state(self) -> str | Values:
        if not self.schema.mutable:
            return dict(self.state)
        if not self.is_dirty and not self.is_watched:
            self.saved = self.saved or self.schema.dump(self.state)
            return self.saved
        try:
            return self.schema.dump(self.state)
        except StateTypeError:  # it must be possible to mend it
            with suppress(Exception):
                return copy.deepcopy(self.state)
            return dict(self.state)

    def restore(self, image: Image) -> None:
        """Be again what it was."""
        given = image.state
        self.state = self.schema.load(given) if isinstance(given, str) else dict(given)
        self.is_dirty, self.is_deleted, self.is_gone = image[2:5]
        self.is_watched = False
        self.is_stale &= image.is_dirty
        self.changes += 1
        if self.readings != image.readings:
            # What was read in between is not in this state, so its version must not be either.
            self.saved, self.version, self.seen = image.saved, image.version, image.seen
            self.readings += 1
            self.writer = 0

    @property
    def has_changes(self) -> bool:
        """Whether there is something that is not written."""
        if self.is_dirty or self.is_deleted:
            return True
        try:
            return self.is_watched and self.schema.dump(self.state) != self.saved
        except StateTypeError:
            return True

    def change(self, image: Image | None = None) -> Change | None:
        """Return what is to be written, None if there is nothing.

        Args:
            image: write what it was like then, and not as it is.

        Raises:
            StateTypeError: a value was changed inside to something that cannot be stored.
        """
        now = image or self
        if now.is_gone or not (now.is_dirty or self.is_watched or now.is_deleted):
            return None
        if now.is_deleted:
            return self._numbered("delete", "{}") if self.issued else None
        state = now.state if isinstance(now.state, str) else self.schema.dump(now.state)
        if not now.is_dirty and state == now.saved:
            return None
        return self._numbered("update" if self.is_stored else "insert", state)

    def note_written(self, change: Change, changes: int) -> None:
        """Take note that a change was written, in a transaction that may still be rolled back.

        Args:
            change: what `change()` returned.
            changes: what `self.changes` was at that time.
        """
        if change.writer != self.writer:
            return
        if change.kind == "delete":
            self.is_gone = True
        if change.version > self.saved_version:
            self.saved, self.saved_version = change.state, change.version
        if self.changes == changes:
            self.is_dirty = False

    def confirm(self, change: Change) -> None:
        """Take note that a change is committed."""
        if change.writer == self.writer and change.version > self.version:
            self.version, self.seen = change.version, change.writer
            self.is_stored = change.kind != "delete"

    @property
    def is_in_doubt(self) -> bool:
        """Whether it was written in a transaction that has not committed, or never will."""
        if self.batch is not None and self.batch.is_settled:
            self.batch = None
        return self.batch is not None

    @property
    def is_handed_out(self) -> bool:
        """Whether somebody holds a list or the like of it, and may change it at any time."""
        return self.is_watched and is_held(self.state, self.schema.mutable)

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
        if not self.writer or self.epoch is not epoch():
            # A forked child's copy is another one than its parent's, which goes on as well.
            self.epoch, self.writer = epoch(), new_object_id()
        self.issued = max(self.issued, self.version) + 1
        return Change(kind, *self.meta, state, self.issued, self.version, self.seen, self.writer)
