"""Run a method on fresh state, and again while somebody else's commit comes in between."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from session_mgmt.conf import get_settings
from session_mgmt.db.uninterrupted import uninterrupted
from session_mgmt.exceptions import CommitOutcomeUnknownError, SessionLockError, StaleObjectError
from session_mgmt.objects.loading import refresh

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from session_mgmt.objects.base import BaseObject

__all__ = ["repeat", "repeat_async"]

T = TypeVar("T")

_FIRST_WAIT: Final = 0.002
_LONGEST_WAIT: Final = 0.1


class _Conflicts:
    """Attempts at one call of a method.

    Of those who change one object at a time, one always wins; whoever loses waits for a random
    time, longer after each loss, and gives up when RETRY_BUDGET is over. Threads and tasks that
    share the object in one session wait for each other in the same way.
    """

    def __init__(self, obj: BaseObject) -> None:
        self.obj = obj
        self.session = obj.session
        self.joins = self.session._unit.has_my_scope
        self._is_lost = False
        self._deadline = time.monotonic() + get_settings().RETRY_BUDGET.total_seconds()
        self._wait = _FIRST_WAIT
        self._stale: list[BaseObject] = []

    def begin(self) -> list[BaseObject]:
        """Remember what is there, to be undone; return the objects to be refreshed.

        Raises:
            SessionLockError: another thread or task is at it.
        """
        self.session._unit.enter_scope()
        fresh = [one for one in self._stale if one is not self.obj]
        if self.obj._record.is_stored and not self.obj._record.has_changes:
            fresh.append(self.obj)
        return fresh

    def undo(self, *, is_unknown: bool = False) -> None:
        """Take back what the attempt has changed, and no more than that."""
        left = self.session._unit.leave_scope(failed=True, is_unknown=is_unknown)
        records = [(one, one._record) for one in (self.obj, *left)]
        self._stale = [one for one, its in records if its.is_stored and not its.has_changes]
        self._is_lost = any(
            its.is_stale and (its.has_changes or not its.is_stored) for _, its in records
        )

    def commit(self) -> None:
        """Commit what the attempt has changed, and nothing else."""
        unit = self.session._unit
        try:
            self.session._commit([self.obj, *unit.scope_objects()])
        except BaseException as error:
            self.undo(is_unknown=isinstance(error, CommitOutcomeUnknownError))
            raise
        unit.leave_scope(failed=False)

    def wait(self, error: StaleObjectError | SessionLockError) -> float:
        """Return the seconds until the next attempt, or raise."""
        if self._is_lost or time.monotonic() + self._wait > self._deadline:
            try:
                raise error  # what was changed before the call cannot be done again here
            finally:
                del error  # the two would hold each other, and the object
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        return random.uniform(0, self._wait)  # noqa: S311 # it spreads, it hides nothing


def repeat(obj: BaseObject, work: Callable[[], T]) -> T:
    """Return what the attempt that was committed has returned.

    Raises:
        StaleObjectError: too many conflicts, or one with changes that were made before.
        SessionLockError: other threads or tasks were at the same object for too long.
    """
    conflicts = _Conflicts(obj)
    if conflicts.joins:
        return work()
    while True:
        try:
            fresh = conflicts.begin()
            try:
                refresh(conflicts.session, fresh)
                result = work()
            except BaseException:
                conflicts.undo()
                raise
            conflicts.commit()
        except (StaleObjectError, SessionLockError) as error:
            time.sleep(conflicts.wait(error))
        else:
            return result


async def repeat_async(obj: BaseObject, work: Callable[[], Awaitable[T]]) -> T:
    """Do as `repeat` for a coroutine function; a cancelled one leaves nothing behind."""
    conflicts = _Conflicts(obj)
    if conflicts.joins:
        return await work()
    while True:
        try:
            fresh = conflicts.begin()
            try:
                await uninterrupted(partial(refresh, conflicts.session, fresh))
                result = await work()
            except BaseException:
                conflicts.undo()
                raise
            await uninterrupted(conflicts.commit)
        except (StaleObjectError, SessionLockError) as error:
            await asyncio.sleep(conflicts.wait(error))
        else:
            return result
