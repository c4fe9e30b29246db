"""Tell whose session it is: that of a thread, or of an asyncio task."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from session_mgmt.objects.session import Session

__all__ = ["Owners", "owner"]

_Task = asyncio.Task[Any]  # Any: whatever it returns

_task: Final[ContextVar[_Task | None]] = ContextVar("session_mgmt_objects_task", default=None)


def owner() -> _Task | int:
    """Return who runs: a task, or else a thread by its number.

    What a task has done in another thread (`sync_to_async`) is the task's. A task that another one
    starts sees that one's context, but is somebody else.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        task = _task.get()
        if task is None or not task.done():
            return task or threading.get_ident()
        _task.set(None)  # async_to_sync leaves its task's context behind
        return threading.get_ident()
    if task is None:
        return threading.get_ident()
    if _task.get() is not task:
        _task.set(task)
    return task


class _Thread(threading.local):
    def __init__(self) -> None:
        self.sessions: dict[int, Session] = {}


class Owners:
    """The sessions of each thread and task, by partition; they go when it ends.

    Several tasks share a thread, and the scope of one must not hold what another one changes.
    """

    def __init__(self) -> None:
        self._thread = _Thread()
        self._tasks: WeakKeyDictionary[_Task, dict[int, Session]] = WeakKeyDictionary()

    def mine(self) -> dict[int, Session]:
        """Return the sessions of whoever calls."""
        who = owner()
        if isinstance(who, int):
            return self._thread.sessions
        return self._tasks.setdefault(who, {})
