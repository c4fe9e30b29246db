"""Do something last: when Python exits, at SIGTERM, and when an ASGI server shuts down."""

from __future__ import annotations

import _thread
import asyncio
import atexit
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["AsgiApplication", "before_exit", "before_lifespan_ends", "before_sigterm"]

_Message: TypeAlias = MutableMapping[str, Any]  # Any: as ASGI declares it
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
AsgiApplication: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]  # Any: as Django's are


def before_exit(finish: Callable[[], None]) -> None:
    """Call `finish` in the main thread when Python exits by itself; it may be called twice.

    A child of `multiprocessing` leaves without `atexit` before Python 3.14, and runs its own
    finalizers instead.
    """
    atexit.unregister(finish)
    atexit.register(finish)
    if util := sys.modules.get("multiprocessing.util"):
        util.Finalize(None, finish, exitpriority=0)


def before_sigterm(drain: Callable[[], None]) -> None:
    """Call `drain` at SIGTERM, and then what would have happened without this.

    Only the main thread can arrange that; in another one this does nothing. It does nothing
    either where SIGTERM is ignored, or where somebody handles it without Python.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if previous is None or previous is signal.SIG_IGN or isinstance(previous, _DrainFirst):
        return
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _DrainFirst(previous, drain))


class _DrainFirst:
    """A signal handler that has `drain` called by a thread and then the signal sent again.

    It takes no lock and waits for nothing: it interrupts the main thread anywhere, which may
    itself hold the lock that draining needs. A second signal meanwhile is passed on at once.
    """

    def __init__(
        self,
        previous: Callable[[int, FrameType | None], object] | int | None,
        drain: Callable[[], None],
    ) -> None:
        self._previous = previous
        self._drain = drain
        self.is_draining = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.is_draining = not self.is_draining
        if self.is_draining:
            # While Python exits there are no new threads, and what runs `before_exit` drains.
            with suppress(RuntimeError):
                # Not threading.Thread: it takes a lock that the main thread may hold.
                _thread.start_new_thread(self._drain_and_repeat, (number,))
        elif callable(self._previous):
            self._previous(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _drain_and_repeat(self, number: int) -> None:
        try:
            self._drain()
        finally:
            if main := threading.main_thread().ident:
                signal.pthread_kill(main, number)


@atexit.register  # before any other of this app's, so it is called after them
def _pass_on() -> None:
    """Do what SIGTERM would have done when Python exits before the signal was sent again."""
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(handler, _DrainFirst) and handler.is_draining:
        handler(signal.SIGTERM, None)


def before_lifespan_ends(app: AsgiApplication, drain: Callable[[], None]) -> AsgiApplication:
    """Return `app` with an answer to the lifespan protocol, which calls `drain` at the end."""

    async def application(scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await asyncio.to_thread(drain)
        await send({"type": "lifespan.shutdown.complete"})

    return application
