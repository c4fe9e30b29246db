"""Run database work of async code to its end, also when the task that waits for it is cancelled.

A thread cannot be interrupted: cancelled, `sync_to_async` lets it go on without anybody who takes
the result, or drops it while it waits for its turn. A session would stay open, or not be ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from asgiref.sync import sync_to_async

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["uninterrupted"]

T = TypeVar("T")


async def uninterrupted(function: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Call `function` in the thread of this task's database work and return its result.

    Args:
        function: takes no argument.
        undo: is given the result if the task was cancelled meanwhile.

    Raises:
        CancelledError: the task was cancelled; `function`, and `undo`, have run nevertheless.
    """
    task = asyncio.ensure_future(sync_to_async(function)())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _finished(task)
        if undo is not None and not task.cancelled() and task.exception() is None:
            result = task.result()
            await _finished(asyncio.ensure_future(sync_to_async(undo)(result)))
        raise


async def _finished(task: asyncio.Future[T]) -> None:
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue  # once more: the one that is on its way is raised by the caller
