"""One background thread of a process that writes what its buffers hold."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from contextlib import suppress
from typing import Any, Final

from session_mgmt.conf import get_settings
from session_mgmt.db.lane import Lane
from session_mgmt.db.own_connections import own_connections
from session_mgmt.db.shutdown import before_exit, before_sigterm
from session_mgmt.exceptions import FlushError

__all__ = ["FLUSHER", "Flusher"]

logger = logging.getLogger(__name__)

_EXIT_PATIENCE: Final = 5.0  # a supervisor kills after 10 s or more
_FORK_PATIENCE: Final = 1.0
_SHORTEST_PAUSE: Final = 0.05
_EXIT_TRIES: Final = 20  # of what its writer puts back again and again


class Flusher:
    """The thread, and the barrier for those who cannot wait for it.

    `lock` guards the lanes and the numbers here, and is held for a few instructions only. The
    lock of rounds is held while a round writes, so that an older value never comes after a newer
    one. Who needs both takes that of rounds first.

    A barrier is a number: `flush` asks for the next one, and a round that began after that and
    left nothing behind grants it. What a writer has put back meanwhile is not left behind: it is
    for a later round.

    Each lane says when it is due. The thread sleeps until the first of them is, or somebody asks.

    Attributes:
        lock: re-entrant, because a signal handler may put while its thread puts.
        changed: is notified when there is something to write, and when it is written.
        lanes: everything that may have something to write.
        thread: None when there is none, or when it died.
        is_finishing: Python exits; what need not be written should not be put back.
    """

    def __init__(self) -> None:
        self.lanes: list[Lane[Any, Any]] = []  # Any: each buffer has its own types
        self._begin()

    def _begin(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.thread: threading.Thread | None = None
        self._rounds = threading.RLock()
        self._stopped_rounds = False
        self.is_finishing = False
        self._asked = self._tried = self._granted = 0

    def wake(self) -> None:
        """Start the thread if it does not run, and tell it of a change; needs the lock."""
        if self.thread is None or not self.thread.is_alive():
            self._start()
        self.changed.notify_all()

    def ask(self) -> int:
        """Have a round at once and return the number of its barrier; needs the lock."""
        self._asked += 1
        self.wake()
        return self._asked

    def flush(self, timeout: float) -> None:
        """Return when everything that waits now is written.

        Raises:
            FlushError: it was not in time.
        """
        with self.lock:
            if not self._is_waiting():
                return
        if not get_settings().FLUSH_INTERVAL and not self._write_here():
            return
        with self.lock:
            number = self.ask()

            def is_granted() -> bool:
                if self.thread is None and self._granted < number:
                    self.ask()
                return self._granted >= number

            if not self.changed.wait_for(is_granted, timeout):
                raise self._failure()

    def drain(self) -> None:
        """Flush before the process ends, while its threads run; never raises."""
        try:
            self.flush(_EXIT_PATIENCE)
        except Exception:
            logger.exception("A process that is about to end may lose buffered items")

    def finish(self) -> None:
        """Flush while Python exits, in this thread: no other can be relied on then."""
        self.is_finishing = True
        try:
            self._finish(time.monotonic() + _EXIT_PATIENCE)
        finally:
            self.is_finishing = False

    def _finish(self, deadline: float) -> None:
        with self.lock:
            self._asked += 1
            number = self._asked
        tries = _EXIT_TRIES
        while self._may_lose():
            left = deadline - time.monotonic()
            if left <= 0 or not tries or not self._rounds.acquire(timeout=left):
                logger.error("A process ends and loses buffered items: %s", self._failure())
                return
            try:
                self._round(everything=True)
            finally:
                self._rounds.release()
            if self._granted >= number:  # what is left was put meanwhile, or put back
                tries -= 1
            if self._may_lose():
                time.sleep(_SHORTEST_PAUSE)

    def before_fork(self) -> None:
        """Let no round be under way and no lock be half held in the child.

        A round may itself wait for a row that the forking thread has locked, so this gives up
        after a while. The child then has a copy of the connection in use, and leaves it alone.
        """
        stopped = self._rounds.acquire(timeout=_FORK_PATIENCE)
        self.lock.acquire()
        self._stopped_rounds = stopped

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._stopped_rounds:
            self._rounds.release()
        self.lock.release()

    def after_fork_in_child(self) -> None:
        """Start with nothing: what waits is the parent's to write, and so is its thread."""
        self._begin()
        for lane in self.lanes:
            lane.forget()

    def _is_waiting(self) -> bool:
        return any(lane.size for lane in self.lanes)

    def _may_lose(self) -> bool:
        return any(lane.size for lane in self.lanes if lane.durable)

    def _is_asked(self) -> bool:
        return self._asked > self._tried

    def _failure(self) -> FlushError:
        troubles = {f"{lane.name}: {lane.trouble}" for lane in self.lanes if lane.trouble}
        return FlushError(
            sum(lane.size for lane in self.lanes),
            "; ".join(sorted(troubles)) or "the flusher has not come to them, or not for good",
        )

    def _write_here(self) -> bool:
        """Write in the caller's thread what was put back; tell if a round has more in hand."""
        for lane in [lane for lane in self.lanes if lane.pending]:
            with self.lock:
                items = lane.pop()
            if items:
                lane.write_now(items)
                with self.lock:
                    lane.written += len(items)
        return any(lane.taken for lane in self.lanes)

    def _start(self) -> None:
        before_exit(self.finish)
        before_sigterm(self.drain)
        thread = threading.Thread(target=self._run, name="session-mgmt-flusher", daemon=True)
        # While Python exits there are no new threads, but there is `finish`.
        with suppress(RuntimeError):
            thread.start()
            self.thread = thread

    def _run(self) -> None:
        try:
            while True:
                self._wait()
                with self._rounds:
                    self._round()
        except BaseException:
            logger.exception("The flusher died; the next put() or flush() starts another")
        finally:
            with self.lock:
                if self.thread is threading.current_thread():
                    self.thread = None
                self.changed.notify_all()

    def _wait(self) -> None:
        """Return when a lane is due, or when somebody asks."""
        with self.lock:
            while not self._is_asked():
                moments = [lane.due for lane in self.lanes if lane.due is not None]
                left = min(moments, default=math.inf) - time.monotonic()
                if left <= 0:
                    return
                self.changed.wait(min(left, threading.TIMEOUT_MAX))

    def _round(self, *, everything: bool = False) -> None:
        with self.lock:
            asked = self._asked
            everything = everything or self._is_asked()
            self._tried = asked
            now = time.monotonic()
            lanes = [lane for lane in self.lanes if everything or lane.is_due(now)]
            for lane in lanes:
                lane.take()
        with own_connections({lane.using for lane in lanes if lane.taken and lane.durable}):
            for lane in lanes:
                left = lane.write_out()
                with self.lock:
                    lane.settle(left)
        with self.lock:
            if not any(lane.taken for lane in self.lanes):
                self._granted = asked
            self.changed.notify_all()


FLUSHER: Final = Flusher()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=FLUSHER.before_fork,
        after_in_parent=FLUSHER.after_fork_in_parent,
        after_in_child=FLUSHER.after_fork_in_child,
    )
