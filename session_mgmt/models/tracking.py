"""Count the steps of a session's work as fast as they come, and let its progress follow.

A step changes numbers in memory. What the database gets is the state of the moment in which the
flusher's thread writes, on a connection of its own and for all sessions of the process at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, router
from django.utils import timezone

from session_mgmt.conf import get_settings
from session_mgmt.db.flusher import FLUSHER
from session_mgmt.db.write_behind import Buffer
from session_mgmt.exceptions import InvalidInputError
from session_mgmt.models.pace import Pace, seconds_left
from session_mgmt.models.progress_flush import ProgressState, store_and_announce
from session_mgmt.models.tracking_input import (
    MOST_STEPS,
    checked_count,
    checked_description,
    checked_total,
    length_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from uuid import UUID

    from session_mgmt.models.session import GenerationSession

__all__ = ["PROGRESS", "ProgressTracker"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ProgressTracker(Generic[T_co]):
    """What `GenerationSession.track` returns: iterate over it, or step it.

    From the beginning on, the session's progress shows what was reached at most `FLUSH_INTERVAL`
    and the length of one write ago. Neither `break` nor an exception undoes that, nor a rollback
    of the caller's transaction.

    On PostgreSQL others see it while that transaction is open. But if that has written the
    session's progress itself, or holds the session by `select_for_update()` without `no_key=True`,
    the flusher waits until it ends, and with it the progress of all sessions of this process. On
    SQLite the flusher waits for any transaction that writes.

    Nothing older replaces anything newer: not another tracker's state, and not what
    `update_session_progress` has stored meanwhile. Across machines this is as good as their clocks.

    `progress_updated` is sent in the flusher's thread, once for each session that a round wrote:
    a slow receiver delays the next round.

    Any number of threads may step one tracker, and each step counts. Of several trackers of one
    session the row shows the one that was stepped last.

    The flusher reads the state under the lock under which a step changes it. So a step is either
    in what a round writes, or it comes after the reading and puts the tracker into the buffer
    again. Each tracker has its own lock: with one for all, a thread that loses the interpreter
    while it holds that would stop every other.
    """

    def __init__(
        self,
        session: GenerationSession,
        items: Iterable[T_co] | AsyncIterable[T_co] | None,
        *,
        description: str,
        total: int | None,
    ) -> None:
        if session._state.adding or session.pk is None:
            raise InvalidInputError("session", "is not in the database; save it first")
        if items is not None and not isinstance(items, Iterable | AsyncIterable):
            raise InvalidInputError("iterable", f"cannot be iterated: {type(items).__name__}")
        self._description = checked_description(description)
        self._total = length_of(items) if total is None else checked_total(total)
        self._items = items
        self._session_id: UUID = session.pk
        self._using = router.db_for_write(type(session), instance=session)
        self._current = 0
        self._limit = self._total or MOST_STEPS
        self._at = time.time()
        self._pace = Pace(self._at)
        self._lock = threading.RLock()  # a signal handler may step while its thread does
        self._home = FLUSHER.lock
        self._is_queued = False
        self._report()
        if (connection := connections[self._using]).in_atomic_block:
            # Until the commit the flusher may not see the session, and leaves its progress out.
            connection.on_commit(self._report, robust=True)

    def step(self, n: int = 1, *, description: str | None = None) -> None:
        """Count steps; in a few hundred nanoseconds, without waiting for the database.

        More steps than the total raise the total, since work must not fail because an estimate
        was low; a count beyond 2,147,483,647 stays there. It is a plain function for asynchronous
        code too: there is nothing in it to wait for.

        Args:
            n: how many steps, 0 or more.
            description: what is being done from now on; None leaves it as it is.

        Raises:
            InvalidInputError: an argument is refused; nothing is counted.
            BufferFullError: the step is counted, but `Buffer.put` had no room for the session.
        """
        if type(n) is not int or n < 0:
            n = checked_count("n", n)
        if description is not None and description is not self._description:
            checked_description(description)
        with self._guard():
            self._current += n
            if self._current > self._limit:
                self._overshoot()
            if description is not None:
                self._description = description
            now = time.time()
            if now > self._at:  # noqa: PLR1730 # max() is slow; a clock may be set back
                self._at = now
            is_queued = self._is_queued
        if not is_queued:
            self._report()

    @property
    def rate(self) -> float | None:
        """Steps a second, lately and up to the newest step; None until time has passed."""
        with self._guard():
            return self._pace.measured(self._at, self._current)

    @property
    def remaining(self) -> timedelta | None:
        """The time until the total is reached, None while the total or the rate is not known."""
        with self._guard():
            rate, waited = self.rate, time.time() - self._at
            seconds = seconds_left(self._current, self._total, rate, waited)
        return None if seconds is None else timedelta(seconds=seconds)

    def snapshot(self) -> ProgressState:
        """Return the state for writing; a step that comes later has the tracker written again."""
        zone = timezone.now().tzinfo
        with self._guard():
            self._is_queued = False
            return ProgressState(
                self._session_id,
                self._current,
                self._total,
                self._description,
                self.rate,
                datetime.fromtimestamp(self._at, zone),
            )

    def later_of(self, other: Self) -> Self:
        """Return the one that was stepped last; only that goes on waiting for the flusher."""
        if self is not other:
            # Before the comparison: a step that comes after this puts its tracker again.
            self._is_queued = other._is_queued = False
        return self if self._at > other._at else other

    def __iter__(self) -> Iterator[T_co]:
        """Yield the items; asking for the next one is a step."""
        if not isinstance(self._items, Iterable):
            raise InvalidInputError("iterable", "is missing, or is for `async for` only")
        for item in self._items:
            yield item
            self.step()

    async def __aiter__(self) -> AsyncIterator[T_co]:
        """Do as `__iter__`, for both kinds of iterables; a plain one never lets others run."""
        async for item in _each(self._items):
            yield item
            self.step()
            await self._settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    async def __aenter__(self) -> Self:
        await self._settle()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._settle()

    def _guard(self) -> threading.RLock:
        if self._home is not FLUSHER.lock:
            # In a forked child the buffer is empty, and nobody is left to release the lock.
            with FLUSHER.lock:
                if self._home is not FLUSHER.lock:
                    self._lock, self._is_queued = threading.RLock(), False
                    self._home = FLUSHER.lock
        return self._lock

    def _report(self) -> None:
        self._is_queued = True
        try:
            PROGRESS.put(self._session_id, self, self._using)
        except SynchronousOnlyOperation:  # FLUSH_INTERVAL is 0: `_settle` does it
            self._is_queued = False
        except BaseException:
            self._is_queued = False
            raise

    async def _settle(self) -> None:
        if not get_settings().FLUSH_INTERVAL:
            await sync_to_async(self._report)()

    def _overshoot(self) -> None:
        self._current = min(self._current, MOST_STEPS)
        if self._total:
            self._total = self._limit = self._current


async def _each(items: Iterable[T] | AsyncIterable[T] | None) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif items is None:
        raise InvalidInputError("iterable", "is missing")
    else:
        for item in items:
            yield item


def _write(using: str, trackers: Sequence[tuple[UUID, ProgressTracker[object]]]) -> None:
    store_and_announce(using, [tracker.snapshot() for _, tracker in trackers])


# The value is the tracker, and what counts is its state at the time of writing. That can only be
# newer than what was put, also when a write failed and is repeated; and a step costs no object.
PROGRESS: Final[Buffer[UUID, ProgressTracker[object]]] = Buffer(
    "progress", _write, merge=ProgressTracker.later_of
)
