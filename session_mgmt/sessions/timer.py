"""A thread that cleans up every now and then, for programs without a scheduler (seed 001)."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CleanupTimer"]

logger = logging.getLogger(__name__)

_PAUSE_AFTER_ERROR: Final = 0.5


class CleanupTimer:
    """Call `work` every `interval()` seconds in a daemon thread, which never dies of an error.

    A forked child has no such thread: the first `start` there makes one.

    Args:
        work: cleans up; it is given a function that tells whether to stop.
        interval: is asked before each wait, so that it can change; None ends the thread.
    """

    def __init__(
        self, work: Callable[[Callable[[], bool]], None], interval: Callable[[], float | None]
    ) -> None:
        self._work = work
        self._interval = interval
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread unless it runs."""
        with self._lock:
            if self.is_alive() and not self._stop.is_set():
                return
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stop,), name="SessionCleanup", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Have the thread end after the chunk in hand; whether it did so in `timeout` seconds."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self.is_alive()

    def is_alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self, stop: threading.Event) -> None:
        while True:
            try:
                interval = self._interval()
                if interval is None or stop.wait(min(interval, threading.TIMEOUT_MAX)):
                    return
                self._work(stop.is_set)
            except Exception:
                logger.exception("Cleanup worker error")
                stop.wait(_PAUSE_AFTER_ERROR)
            finally:
                # A thread that keeps a pooled connection keeps its slot from everybody else.
                connections.close_all()
