"""Run a function as one transaction: again where that is harmless, exactly once with a token."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Generic, TypeVar

from asgiref.sync import iscoroutinefunction
from django.db import DEFAULT_DB_ALIAS, connections

from session_mgmt.db.backoff import Attempts, Backoff, drop_dead_connections
from session_mgmt.db.block import Block
from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.tokens import checked_token, claim, holder_of
from session_mgmt.db.witness import in_transaction
from session_mgmt.exceptions import AlreadyCommittedError, CommitOutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run_in_transaction"]

T = TypeVar("T")


def run_in_transaction(
    fn: Callable[[], T], token: str | None = None, *, using: str = DEFAULT_DB_ALIAS
) -> T:
    """Call `fn()` in a transaction of its own, and again after a transient database error.

    When this returns, the transaction has committed; when it raises anything but
    CommitOutcomeUnknownError, it has not (or a function given to `on_commit` raised after it).
    A COMMIT whose answer was lost is not repeated without a token: it may have happened. With a
    token it is, and happens once: of all calls with the same token, at any time and from any
    process, one commits. The token's row is a part of that very transaction.

    Inside somebody's transaction `fn` is called once in a savepoint; whoever owns it repeats it.

    Args:
        fn: takes no argument; what it does outside of the database is done at every attempt.
        token: names this work, up to 200 characters; for example the id of the request.
        using: database alias.

    Returns what the attempt that committed returned.

    Raises:
        CommitOutcomeUnknownError: the connection was lost during COMMIT; with a token call again.
        AlreadyCommittedError: another call with this token has committed; `fn`'s work is done.
        TransactionManagementError: `fn` swallowed a database error, so nothing could be saved.
        InvalidInputError: the token cannot be stored.

    From seeds 002, 003 and 004.
    """
    if iscoroutinefunction(fn):
        raise TypeError("run_in_transaction calls plain functions; await sync_to_async(it)(fn)")
    unit = _Unit(fn, None if token is None else checked_token(token), using)
    if in_transaction(connections[using]):
        return unit.attempt()
    attempts = Attempts(getattr(fn, "__name__", type(fn).__name__), Backoff())
    while True:
        try:
            return unit.attempt()
        except Exception as error:
            wait = unit.wait_after(error, attempts)
        time.sleep(wait)


class _Unit(Generic[T]):
    """One piece of work and what is known of its attempts."""

    def __init__(self, fn: Callable[[], T], token: str | None, using: str) -> None:
        self._fn = fn
        self._token = token
        self._using = using
        self._holder = uuid.uuid4().hex
        self._result: T
        self._block = Block(connections[using])
        self._uncertain = False  # whether an earlier COMMIT may have happened

    def attempt(self) -> T:
        self._block = Block(connections[self._using])
        self._block.begin()
        try:
            self._result = self.body()
        except BaseException:
            self._block.rollback()
            raise
        self._block.commit()
        return self._result

    def body(self) -> T:
        if self._token is not None and not claim(self._using, self._token, self._holder):
            if holder_of(self._using, self._token) == self._holder:
                return self._result  # of the attempt whose COMMIT was not answered
            self._uncertain = False
            raise AlreadyCommittedError(self._token)
        self._uncertain = False
        return self._fn()

    def wait_after(self, error: Exception, attempts: Attempts) -> float:
        """Return the seconds to wait before the next attempt, or raise what ends the work."""
        if self._block.committed:
            raise error  # an on_commit hook's
        drop_dead_connections(error)  # also after the last attempt, for whoever calls next
        lost = isinstance(error, CommitOutcomeUnknownError)
        self._uncertain |= lost
        repeatable = lost or classify(error) is not Fault.PERMANENT
        can_repeat = repeatable and (self._token or not self._uncertain)
        wait = attempts.wait_after(error) if can_repeat else None
        if wait is None:
            if self._uncertain:
                raise CommitOutcomeUnknownError(self._token) from (error.__cause__ or error)
            raise error
        return wait
