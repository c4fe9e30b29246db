"""Run a command's work again and again until SIGTERM or Ctrl-C asks it to stop.

A command that is asked to stop ends what it has begun and exits with 0; nothing is interrupted.
"""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentTypeError
from math import isfinite
from typing import TYPE_CHECKING, Final, Self

from django.db import Error as DatabaseError
from django.db import connections

from session_mgmt.db.errors import describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

__all__ = ["NO_DATABASE", "Stopper", "away", "repeat", "seconds"]

# The checks of a command that has an answer when the database is away: from 6.1 on Django's own ask
# the database first.
NO_DATABASE: Final = ["session_mgmt"]


class Stopper:
    """Remembers that SIGTERM or Ctrl-C came while its `with` block ran.

    It answers like a `threading.Event`, which itself must not be used here: its `set()` takes a
    lock that the interrupted `wait()` may be holding. Ctrl-C for the second time interrupts as
    usual. In a thread other than the main one no signal can be caught, and only `set()` stops it.
    """

    def __init__(self) -> None:
        self._asked = False
        self._gate = threading.Lock()  # held until somebody asks
        self._gate.acquire()
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._caught) or signal.SIG_DFL
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._restore(number)

    def is_set(self) -> bool:
        """Tell whether it was asked to stop; ask between two batches."""
        return self._asked

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds, or until asked to stop; return whether it was."""
        if self._gate.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            self._gate.release()
        return self._asked

    def set(self) -> None:
        """Ask it to stop; harmless twice."""
        if not self._asked:
            self._asked = True
            self._gate.release()

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.set()
        if number == signal.SIGINT:
            self._restore(signal.SIGINT)

    def _restore(self, number: int) -> None:
        if number in self._previous:
            signal.signal(number, self._previous.pop(number))


def repeat(
    work: Callable[[Stopper], object],
    interval: float,
    *,
    using: str,
    complain: Callable[[str], object],
) -> None:
    """Do work at once and every `interval` seconds until asked to stop.

    A database that does not answer ends one pass, not the loop: the next one connects anew.

    Args:
        work: one pass; it may ask the stopper whether to end early.
        interval: seconds between the end of a pass and the start of the next.
        using: alias of the database that the work is done on.
        complain: takes a sentence about a pass that failed.
    """
    with Stopper() as stop:
        while not stop.is_set():
            try:
                work(stop)
            except DatabaseError as error:
                complain(away(error))
                connections[using].close()
            stop.wait(interval)


def away(error: DatabaseError) -> str:
    """Return a sentence about a database that did not answer; without password and values."""
    return f"The database did not answer ({describe(error)})."


def seconds(text: str) -> float:
    """Read an argument of the command line as a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (isfinite(value) and value > 0):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, more than 0")
    return value
