"""Run a function as one transaction: again where that is harmless, exactly once with a token."""

from __future__ import annotations

import time
import uuid
from inspect import iscoroutine, isgenerator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asgiref.sync import iscoroutinefunction
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from session_mgmt.db.backoff import Attempts, Backoff, drop_dead_connections
from session_mgmt.db.block import Block
from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.ownership import refuse_interleaving
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

    When this returns, the transaction has committed; when it raises anything else than
    CommitOutcomeUnknownError or what an `on_commit` hook raises, it has not.
    A COMMIT whose answer was lost is not repeated without a token: it may have happened. With a
    token it is, and happens once: of all calls with the same token, at any time and from any
    process, one commits. The token's row is a part of that very transaction.

    Inside somebody's transaction `fn` is called once in a savepoint; whoever owns it repeats it.

    Args:
        fn: takes no argument; what it does outside of the database is done at every attempt.
        token: names this work, up to 200 characters; for example the id of the request.
        using: database alias.

    Returns what the attempt that committed returned. From seeds 002, 003 and 004.

    Raises:
        CommitOutcomeUnknownError: the connection was lost during COMMIT; with a token call again.
        AlreadyCommittedError: another call with this token has committed; `fn`'s work is done.
        TransactionManagementError: `fn` swallowed a database error, so nothing could be saved.
        InvalidInputError: the token cannot be stored.
    """
    if iscoroutinefunction(fn):
        raise TypeError("run_in_transaction calls plain functions; await sync_to_async(it)(fn)")
    unit = _Unit(fn, None if token is None else checked_token(token), using)
    refuse_interleaving(connections[using])
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
        self._hooks: list[Any] = []  # Any: the stubs leave out `robust`
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
        self._hooks = [*connections[self._using].run_on_commit]
        self._block.commit()
        return self._result

    def body(self) -> T:
        if self._token is not None and not claim(self._using, self._token, self._holder):
            if holder_of(self._using, self._token) == self._holder:
                # The attempt whose COMMIT was not answered has happened, but its hooks have not.
                for _, hook, robust in self._hooks:
                    transaction.on_commit(hook, using=self._using, robust=robust)
                return self._result
            self._uncertain = False
            raise AlreadyCommittedError(self._token)
        self._uncertain = False
        result = self._fn()
        if iscoroutine(result) or isgenerator(result):
            result.close()
            raise TypeError("The function has only begun: it gave a coroutine or a generator")
        return result

    def wait_after(self, error: Exception, attempts: Attempts) -> float:
        """Return the seconds to wait before the next attempt, or raise what ends the work."""
        if self._block.committed:
            raise error  # an on_commit hook's
        drop_dead_connections(error)  # also after the last attempt, for whoever calls next
        lost = self._block.unknown
        self._uncertain |= lost
        repeatable = lost or classify(error) in {Fault.TRANSIENT, Fault.LOST_CONNECTION}
        can_repeat = repeatable and (self._token or not self._uncertain)
        wait = attempts.wait_after(error) if can_repeat else None
        if wait is None:
            if self._uncertain:
                raise CommitOutcomeUnknownError(self._token) from (error.__cause__ or error)
            raise error
        return wait
