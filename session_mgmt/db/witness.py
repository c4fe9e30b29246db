"""Watch the statements of an attempt, to know whether repeating it could do something twice.

A decorator sees an exception come out of a function, but not whether a COMMIT came before it or
was what failed. The statements tell. With T the transaction in which the last statement ran:

1. A connection lost in a statement inside T proves that T did not commit: no COMMIT was sent. (The
   error that comes out may be another one: Django connects again while it leaves the block.)
2. The server's own refusal (deadlock, serialization failure, lock timeout) proves that T was rolled
   back, whether a statement or the COMMIT got it; unless T went on and committed, see 5.
3. A connection lost outside of any statement was lost while connecting or during COMMIT. If T wrote
   nothing there is nothing to do twice; if it did, the outcome is unknown.
4. A write in autocommit commits with the statement: done if it succeeded, unknown if it was lost.
5. When T commits, or a statement runs in another transaction than T, and T wrote, nothing proves
   from then on that a repetition is harmless. A hook on T's commit tells of the first.

Not seen is what goes around Django's `execute`: `cursor.copy()`, `callproc()`, the driver itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from django.db import connections

from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.outage import watch_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.transaction import Atomic

__all__ = ["Witness", "in_transaction"]

_HARMLESS: Final = ("SELECT", "SHOW", "SET", "BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA")


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a transaction of somebody else is open; the database is not asked."""
    return connection.in_atomic_block or (
        connection.connection is not None and not connection.autocommit
    )


def _wrote_nothing(sql: str) -> bool:
    """Tell whether a statement cannot have changed anything, by its first word.

    A SELECT that calls a function with side effects is taken for a read.
    """
    return sql.lstrip(" \t\r\n(").upper().startswith(_HARMLESS)


class Witness:
    """Watch all of this thread's connections between `start` and `stop`."""

    def __init__(self) -> None:
        self._watches = [_Watch(connection) for connection in connections.all()]

    @classmethod
    def start(cls) -> Self | None:
        """Begin to watch, or return None if a transaction is open, whose owner must repeat it."""
        witness = cls()
        if any(in_transaction(watch.connection) for watch in witness._watches):
            return None
        for watch in witness._watches:
            watch_pool(watch.connection)
            watch.connection.execute_wrappers.append(watch)
        return witness

    def stop(self) -> None:
        """Cease to watch."""
        for watch in self._watches:
            watch.connection.execute_wrappers.remove(watch)

    def fault(self, error: BaseException) -> Fault:
        """Classify what ended the attempt; PERMANENT if repeating could do something twice."""
        fault = classify(error)
        if fault is Fault.LOST_CONNECTION and any(watch.is_uncertain() for watch in self._watches):
            return Fault.AMBIGUOUS_COMMIT
        if any(watch.may_have_committed for watch in self._watches):
            return Fault.PERMANENT
        return fault


class _Watch:
    """What one connection did; an execute wrapper."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.may_have_committed = False
        self._transaction: Atomic | None = None
        self._wrote = False
        self._lost_inside = False
        self._marker = (set[str](), self._note_commit, True)

    def __call__(
        self,
        execute: Callable[..., Any],  # Any: as Django declares execute wrappers
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        blocks = self.connection.atomic_blocks
        transaction = blocks[0] if blocks else None
        hooks: list[Any] = self.connection.run_on_commit  # Any: the stubs leave out `robust`
        is_marked = self._marker in hooks
        if transaction is not self._transaction or (transaction and not is_marked):
            self.may_have_committed |= self._wrote
            self._transaction, self._wrote, self._lost_inside = transaction, False, False
        if transaction and not is_marked:
            hooks.insert(0, self._marker)  # the first hook runs before another one can raise
        harmless = _wrote_nothing(sql)
        try:
            result = execute(sql, params, many, context)
        except Exception as error:
            if transaction is None:
                self._wrote |= not harmless
            else:
                self._lost_inside |= classify(error) is Fault.LOST_CONNECTION
            raise
        if not harmless:
            self._wrote = True
            self.may_have_committed |= transaction is None
        return result

    def _note_commit(self) -> None:
        self.may_have_committed |= self._wrote

    def is_uncertain(self) -> bool:
        """Tell whether a connection that was lost may have committed what was written."""
        return self._wrote and not self.may_have_committed and not self._lost_inside
