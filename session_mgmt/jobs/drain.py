"""Know that this worker is to stop, so that its attempts give their jobs back.

An engine's worker stops taking messages when it gets SIGTERM and waits for what it runs. Whoever
sent the signal waits only so long, and an attempt that is killed is lost. So an attempt that comes
past here ends at once, and another worker goes on where it was.
"""

from __future__ import annotations

import mmap
import os
import signal
import threading
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["StopSignals", "request_drain"]

# Shared with forked children: of a pool of processes only the parent learns that it is to stop.
_FLAG: Final = mmap.mmap(-1, 1)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_innermost: Final = threading.local()


def request_drain() -> None:
    """Let the attempts of this process, and of those forked from it, give their jobs back.

    There is no way back: the process is about to end.
    """
    _FLAG[0] = 1


class StopSignals:
    """Hear SIGTERM and SIGINT while the `with` block runs, in the main thread.

    What the worker itself does upon them it still does. One that would have ended the process at
    once does so after the block, or when it comes again; one that is ignored stays so. Children
    that are forked in the block are not concerned.
    """

    def __init__(self) -> None:
        self._outer: StopSignals | None = None
        self._heard: list[int] = []
        self._fatal: list[int] = []
        self._before: dict[int, object] = {}
        self._pid = os.getpid()

    @property
    def is_nested(self) -> bool:
        """Tell whether another block of this thread is around this one."""
        return self._outer is not None

    @property
    def is_draining(self) -> bool:
        """Tell whether this process was asked to stop, or the one it was forked from."""
        outer = self._outer is not None and self._outer.is_draining
        return bool(self._heard) or outer or _FLAG[0] == 1

    def __enter__(self) -> Self:
        self._outer = getattr(_innermost, "signals", None)
        _innermost.signals = self
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (None, signal.SIG_IGN):
                    self._before[number] = handler
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *exception: object) -> None:
        _innermost.signals = self._outer
        for number in self._before:
            self._restore(number)
        if self._fatal:
            signal.raise_signal(self._fatal[0])

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number in self._fatal or os.getpid() != self._pid:
            self._restore(number)
            signal.raise_signal(number)
            return
        self._heard.append(number)
        handler = self._before[number]
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, frame)
        else:
            self._fatal.append(number)

    def _restore(self, number: int) -> None:
        signal.signal(number, self._before[number])  # type: ignore[arg-type] # what getsignal gave
