"""Hold and write what one buffer has for one database: see `session_mgmt.db.write_behind`."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from django.db import Error as DatabaseError
from django.db import connections, transaction

from session_mgmt.conf import get_settings
from session_mgmt.db.errors import Fault, classify, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Lane"]

logger = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

_LONGEST_DELAY: Final = 5.0
_SHORTEST_INTERVAL: Final = 0.05  # it keeps the thread from spinning
_SECONDS_BETWEEN_WARNINGS: Final = 1.0
_ERRORS_LOGGED_AT_ONCE: Final = 20  # a missing table fails every item of a round


class _Hand(threading.local):
    """The keys that this thread is writing."""

    keys: frozenset[Any] = frozenset()  # Any: each buffer has its own types


class Lane(Generic[K, V]):
    """Values that wait, and those that a round of the flusher has in hand.

    It has no lock of its own: `write_out` is called by the one thread that runs a round,
    `write_now` and `holds` by any, and everything else under the flusher's lock.

    Attributes:
        durable: it is for a database; otherwise the writer gets no transaction.
        pending: what was put since the last round.
        taken: what rounds have in hand, the oldest first. It changes only at the beginning and
            at the end of a round, so that nothing is lost if the thread dies in between.
        size: how many items all of these are.
        due: the moment of the monotonic clock at which a round takes what waits; it stays until
            that round ends, for another thread to find if this one dies. None means that no round
            comes by itself: nothing waits, or it was put back with a FLUSH_INTERVAL of 0.
        trouble: what the last try failed with, empty when all is well.
    """

    def __init__(
        self,
        name: str,
        using: str,
        write: Callable[[str, Sequence[tuple[K, V]]], None],
        merge: Callable[[V, V], V] | None,
        interval: Callable[[], float] | None = None,
        *,
        durable: bool = True,
    ) -> None:
        self.name = name
        self.using = using
        self.durable = durable
        self._write = write
        self._merge = merge
        self._interval = interval or _setting
        self.forget()

    def forget(self) -> None:
        """Start with nothing, as a new process does."""
        self.pending: dict[K, V] = {}
        self.taken: list[dict[K, V]] = []
        self.size = 0
        self.due: float | None = None
        self._delay = 0.0
        self._hand = _Hand()
        self.trouble = ""
        self._warned_at = -_SECONDS_BETWEEN_WARNINGS
        self.written = self.requeued = self.failed = self.refused = 0

    def plan(self) -> None:
        """Have what waits taken one interval from now."""
        self.due = time.monotonic() + self._seconds()

    def reschedule(self) -> bool:
        """Plan again if something is planned; a database in trouble gets its pause all the same."""
        if self.due is None or self.trouble:
            return False
        self.plan()
        return True

    def is_due(self, now: float) -> bool:
        """Tell whether a round is to take what waits."""
        return self.due is not None and self.due <= now

    def keep(self, key: K, value: V) -> None:
        """Let a value wait without a plan to write it."""
        if key in self.pending:
            self.pending[key] = self._merged(self.pending[key], value)
        else:
            self.pending[key] = value
            self.size += 1

    def pop(self, *keys: K) -> list[tuple[K, V]]:
        """Remove and return what waits, for these keys or for all."""
        items = [(key, self.pending.pop(key)) for key in keys or tuple(self.pending)]
        self.size -= len(items)
        return items

    def holds(self, key: K) -> bool:
        """Tell whether this thread is writing this key, so that a put of it is a put-back."""
        return key in self._hand.keys

    def take(self) -> None:
        """Let what is pending be written; new values go to an empty dictionary."""
        if self.pending:
            # One statement: whatever kills the thread, it is never in both or in neither.
            self.taken, self.pending = [*self.taken, self.pending], {}

    def settle(self, left: dict[K, V]) -> None:
        """Keep what `write_out` has returned, and nothing else of what was taken."""
        self.size -= sum(map(len, self.taken)) - len(left)
        self.taken = [left] if left else []
        if left:
            self.due = time.monotonic() + self._delay
        elif self.pending:  # it came meanwhile, or was put back
            self.plan()
        else:
            self.due = None

    def write_now(self, items: Sequence[tuple[K, V]], *, alone: bool = False) -> None:
        """Call the writer, in the caller's transaction or, `alone`, in one that is no other's."""
        with transaction.atomic(using=self.using, durable=alone) if self.durable else nullcontext():
            before = self._hand.keys
            self._hand.keys = before.union(key for key, _ in items)
            try:
                self._write(self.using, items)
            finally:
                self._hand.keys = before

    def write_out(self) -> dict[K, V]:
        """Write what was taken and return what could not be written for now.

        One transaction for all; when something in it is refused for good, one for each half, and
        so on until the culprit is alone. Not savepoints, because a foreign key is checked at
        COMMIT only, when it is too late to tell whose it was.
        """
        parts = [list(self._combined().items())] if self.taken else []
        refused: list[tuple[K, Exception]] = []
        trouble: BaseException | None = None
        while parts and trouble is None:
            part = parts[-1]
            try:
                self.write_now(part, alone=True)
            except Exception as error:
                if classify(error) is not Fault.PERMANENT:
                    trouble = error
                elif len(part) == 1:
                    refused.append((parts.pop()[0][0], error))
                else:
                    middle = len(part) // 2
                    parts[-1:] = [part[middle:], part[:middle]]
            except BaseException as error:  # it says stop, not that the item is wrong
                trouble = error
            else:
                self.written += len(parts.pop())
        self._report(refused)
        left = {key: value for part in parts for key, value in part}
        self._plan_next_try(trouble, len(left))
        return left

    def _combined(self) -> dict[K, V]:
        """Return the values that were taken; what was put back before gives way to what came."""
        combined, *newer = self.taken
        for values in newer:
            combined = {
                **combined,
                **{
                    key: self._merged(combined[key], value) if key in combined else value
                    for key, value in values.items()
                },
            }
        return combined

    def _merged(self, older: V, newer: V) -> V:
        if self._merge is None:
            return newer
        try:
            return self._merge(older, newer)
        except Exception:  # it must not stop the others
            logger.exception("Buffer %s: values do not merge, the newer is taken", self.name)
            return newer

    def _report(self, refused: list[tuple[K, Exception]]) -> None:
        self.failed += len(refused)
        for key, error in refused[:_ERRORS_LOGGED_AT_ONCE]:
            logger.error(
                "Buffer %s: %r cannot be written to database %s and is dropped: %s",
                *(self.name, key, self.using, describe(error)),
            )
            logger.debug("Buffer %s: %r", self.name, key, exc_info=error)
        if (more := len(refused) - _ERRORS_LOGGED_AT_ONCE) > 0:
            logger.error("Buffer %s: %d more items are dropped", self.name, more)

    def _plan_next_try(self, trouble: BaseException | None, left: int) -> None:
        if trouble is None:
            self._delay = 0.0
            self.trouble = ""
            return
        if self.durable:
            with suppress(DatabaseError):
                connections[self.using].close()
        self._delay = min(max(2 * self._delay, self._seconds()), _LONGEST_DELAY)
        now = time.monotonic()
        self.trouble = describe(trouble)
        self.requeued += left
        if now - self._warned_at >= _SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            logger.warning(
                "Buffer %s: %d items for database %s are kept and tried again in %.1f s: %s",
                *(self.name, left, self.using, self._delay, self.trouble),
            )

    def _seconds(self) -> float:
        try:
            return max(_SHORTEST_INTERVAL, self._interval())
        except Exception:  # neither who puts nor the thread can do anything about it
            logger.exception("Buffer %s: there is no interval, FLUSH_INTERVAL is taken", self.name)
            return max(_SHORTEST_INTERVAL, _setting())


def _setting() -> float:
    return get_settings().FLUSH_INTERVAL.total_seconds()
