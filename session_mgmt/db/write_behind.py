"""Write later, together, from one background thread: the write-behind buffer.

For values of which only the latest counts and which come far more often than they need to be in
the database, such as progress. Who puts one never waits for the database, and a thousand values
for one key cost one write.

What is promised to whoever puts a value:

- It is written at most one interval and the length of one write later, unless a newer value for
  its key takes its place, or its writer puts it back, or the database refuses it for good; then it
  is logged and counted. The interval is `FLUSH_INTERVAL`, unless the buffer has one of its own.
- A database that is away, busy or restarted loses nothing: the value is kept and tried again.
- An orderly stop loses nothing. That is an exit of Python, also of a `multiprocessing` child; a
  SIGTERM to a program whose main thread puts; and a shutdown of gunicorn. Under uvicorn, wrap the
  application in `flush_on_shutdown`.
- `kill -9` loses at most one interval.

Nothing is promised about the caller's transaction: a buffered value is written although that is
rolled back, and usually before it is committed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections

from session_mgmt.conf import get_settings
from session_mgmt.db.flusher import FLUSHER
from session_mgmt.db.lane import Lane
from session_mgmt.db.shutdown import AsgiApplication, before_lifespan_ends, before_sigterm
from session_mgmt.exceptions import BufferFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Buffer",
    "Counts",
    "flush",
    "flush_on_shutdown",
    "flush_on_sigterm",
]

K = TypeVar("K")
V = TypeVar("V")

_PATIENCE_WHEN_FULL: Final = 1.0


class Counts(NamedTuple):
    """What became of the items of a buffer in this process.

    Attributes:
        waiting: they are not written yet.
        written: they are committed, or their writer has put them back.
        requeued: how often an item was kept because the database was away or busy.
        failed: they were refused for good, logged and dropped.
        refused: the buffer was full and `put` raised.
    """

    waiting: int
    written: int
    requeued: int
    failed: int
    refused: int


class Buffer(Generic[K, V]):
    """Values by key that one function writes; make one for each kind of thing, in a module.

    Args:
        name: what to call it in logs and errors.
        write: is called with a database alias and pairs of key and value, each key once, in a
            transaction that it must leave to the caller, in the flusher's thread. It may be called
            again with what it has written already, because a COMMIT whose answer is lost may have
            happened, and it may come late: it must not overwrite something newer. An exception of
            its own that is not the database's means that an item is wrong.
        merge: makes one value of the older and the newer one for a key; without it the newer one
            counts. It is called under a lock: it must be quick, and must not put or flush.
        max_pending: how many keys may wait for one database, those counted that are being written.
        interval: returns how many seconds a value waits, 0.05 at least; FLUSH_INTERVAL without it.
            It is asked when the first value comes, and when some are left after a write; call
            `reschedule` when it is to count at once. It is called under the lock, as `merge` is.
        durable: False for values that stay in this process's memory: `write` is called without a
            transaction, `using` is but a name, and no database is touched. At an exit nobody waits
            for them.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[str, Sequence[tuple[K, V]]], None],
        *,
        merge: Callable[[V, V], V] | None = None,
        max_pending: int = 100_000,
        interval: Callable[[], float] | None = None,
        durable: bool = True,
    ) -> None:
        self.name = name
        self._write = write
        self._merge = merge
        self._max_pending = max_pending
        self._interval = interval
        self._durable = durable
        self._lanes: dict[str, Lane[K, V]] = {}

    def put(self, key: K, value: V, using: str = DEFAULT_DB_ALIAS) -> None:
        """Have a value written soon; the module's docstring says what that promises.

        It takes about a microsecond and never waits for the database, except when the buffer is
        full: then a new key waits for room, a second at most. That stalls the caller rather than
        losing a value silently or letting memory grow; keys that are in the buffer go on.

        With a FLUSH_INTERVAL of 0, for tests, it writes at once, in the caller's thread and
        transaction, whatever the buffer's interval, and what the writer raises reaches the caller.
        What the writer puts back waits then for the next put of its key, or for `flush`.

        Raises:
            BufferFullError: there was no room; the value was not taken.
        """
        lane = self._lanes.get(using) or self._open(using)
        if not get_settings().FLUSH_INTERVAL:
            self._write_now(lane, key, value)
            return
        with FLUSHER.lock:
            if lane.size >= self._max_pending and key not in lane.pending:
                self._wait_for_room(lane, key)
            pending = lane.pending
            if key not in pending:
                pending[key] = value
                lane.size += 1
                if lane.due is None:
                    lane.plan()
                    FLUSHER.wake()
            elif self._merge is None:
                pending[key] = value
            else:
                pending[key] = self._merge(pending[key], value)
            if FLUSHER.thread is None:
                FLUSHER.wake()

    def reschedule(self) -> None:
        """Count the interval of what waits from now; for whoever has just shortened it."""
        with FLUSHER.lock:
            for lane in self._lanes.values():
                if lane.reschedule():
                    FLUSHER.wake()

    @property
    def counts(self) -> Counts:
        """What became of the items so far."""
        with FLUSHER.lock:
            lanes = list(self._lanes.values())
            return Counts(
                waiting=sum(lane.size for lane in lanes),
                written=sum(lane.written for lane in lanes),
                requeued=sum(lane.requeued for lane in lanes),
                failed=sum(lane.failed for lane in lanes),
                refused=sum(lane.refused for lane in lanes),
            )

    def _open(self, using: str) -> Lane[K, V]:
        if self._durable:
            connections[using]  # whoever names an unknown database is told so
        with FLUSHER.lock:
            if using not in self._lanes:
                lane = Lane(
                    *(self.name, using, self._write, self._merge, self._interval),
                    durable=self._durable,
                )
                self._lanes[using] = lane
                FLUSHER.lanes.append(lane)
            return self._lanes[using]

    def _write_now(self, lane: Lane[K, V], key: K, value: V) -> None:
        with FLUSHER.lock:
            lane.keep(key, value)  # it may have been put back before
            if lane.holds(key):
                return
            items = lane.pop(key)
        lane.write_now(items)
        with FLUSHER.lock:
            lane.written += 1

    def _wait_for_room(self, lane: Lane[K, V], key: K) -> None:
        if lane.holds(key):  # the room is made by this thread, and this item has its own
            return
        deadline = time.monotonic() + _PATIENCE_WHEN_FULL
        if not lane.trouble:  # a database that is away is not asked more often for this
            FLUSHER.ask()
        while lane.size >= self._max_pending and key not in lane.pending:
            left = deadline - time.monotonic()
            if left <= 0 or not FLUSHER.changed.wait(left):
                lane.refused += 1
                raise BufferFullError(self.name, lane.using, self._max_pending)


def flush(timeout: float = 10.0) -> None:
    """Wait until everything that any thread of this process put before is committed or refused.

    For whoever reads the database next, or is about to tell somebody that the work is done. What
    was refused for good is logged and counted, and does not raise. Do not call it in a
    transaction that has locked rows which are about to be written: they wait for each other.
    It does not wait for what a writer puts back.

    With a FLUSH_INTERVAL of 0 it has what was put back written in this thread and transaction, and
    what the writer raises reaches the caller.

    Args:
        timeout: how many seconds to wait at most.

    Raises:
        FlushError: not everything was written in time; it stays in the buffer and is tried again.
    """
    FLUSHER.flush(timeout)


def flush_on_sigterm() -> None:
    """Have a SIGTERM flush first, for 5 s at most, and then do what it would have done.

    It is called by itself when the main thread is the first to put. A program whose other threads
    put, and which dies of SIGTERM without running `atexit`, calls it in its main thread. What is
    put after the signal has arrived may be lost.
    """
    before_sigterm(FLUSHER.drain)


def flush_on_shutdown(application: AsgiApplication) -> AsgiApplication:
    """Wrap an ASGI application so that a server's orderly shutdown loses nothing.

    uvicorn ends by SIGTERM and never runs `atexit`. It does tell the application, through ASGI's
    lifespan protocol, when the last request is done; Django's application does not listen to
    that, so the wrapper answers for it: `application = flush_on_shutdown(get_asgi_application())`.
    """
    return before_lifespan_ends(application, FLUSHER.drain)
