"""Tell whose session it is: that of a thread, or of an asyncio task."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from session_mgmt.objects.session import Session

__all__ = ["Owners"]


class _Thread(threading.local):
    def __init__(self) -> None:
        self.sessions: dict[int, Session] = {}


class Owners:
    """The sessions of each thread and task, by partition; they go when it ends.

    Several tasks share a thread, and the scope of one must not hold what another one changes.
    """

    def __init__(self) -> None:
        self._thread = _Thread()
        self._tasks: WeakKeyDictionary[asyncio.Task[object], dict[int, Session]] = (
            WeakKeyDictionary()
        )

    def mine(self) -> dict[int, Session]:
        """Return the sessions of whoever calls."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs in this thread
            task = None
        if task is None:
            return self._thread.sessions
        return self._tasks.setdefault(task, {})
