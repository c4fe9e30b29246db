"""Tell what a database error means for the work it interrupted, by the driver's own code.

Django's exception classes do not tell: a lost connection comes as OperationalError, InterfaceError
or InternalError, and so do errors that no repetition mends. The SQLSTATE does.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from django.db import Error as DjangoDatabaseError
from django.db import InterfaceError, OperationalError

from session_mgmt.exceptions import CommitOutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Fault", "cause_of", "classify", "describe"]

_TRANSIENT: Final = frozenset({
    "40001",  # serialization failure, also at COMMIT
    "40P01",  # deadlock
    "55P03",  # lock not available: NOWAIT, lock_timeout
})  # fmt: skip
_LOST: Final = frozenset({
    "25P03",  # idle-in-transaction timeout ended the connection
    "25P04",  # transaction timeout ended the connection
    "53300",  # too many connections: none was made
    "57P01",  # ended by an administrator or a shutdown
    "57P02",  # another backend crashed
    "57P03",  # the server is starting or stopping: none was made
    "57P05",  # idle-session timeout ended the connection
})  # fmt: skip
_AMBIGUOUS: Final = frozenset({"08007", "40003"})  # the server itself does not know
_SYNTAX_ERROR: Final = "42601"
_SQLITE_BUSY_OR_LOCKED: Final = frozenset({5, 6})


class Fault(enum.Enum):
    """What may be done about an error.

    Attributes:
        TRANSIENT: the transaction is rolled back and the connection is good; do it again.
        LOST_CONNECTION: the connection is gone or was never made, and no COMMIT was under way.
        AMBIGUOUS_COMMIT: it was lost during COMMIT; nobody here knows whether that happened.
        PERMANENT: the same would fail again, or it is no database error at all.
    """

    TRANSIENT = "transient"
    LOST_CONNECTION = "lost connection"
    AMBIGUOUS_COMMIT = "ambiguous commit"
    PERMANENT = "permanent"


def classify(error: BaseException, *, committing: bool = False) -> Fault:
    """Classify an error by the SQLSTATE, or SQLite's error code, of the driver error behind it.

    The error of a statement that was cancelled (57014) is permanent: who set the timeout meant it.

    Args:
        error: Django's or the driver's exception.
        committing: it came from a COMMIT; a connection that was lost then is ambiguous, while a
            COMMIT that the server answered with a serialization failure has certainly not happened.
    """
    if isinstance(error, CommitOutcomeUnknownError):
        return Fault.AMBIGUOUS_COMMIT
    cause = cause_of(error)
    if cause is None:
        return Fault.PERMANENT
    sqlite_code = getattr(cause, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return Fault.TRANSIENT if sqlite_code & 0xFF in _SQLITE_BUSY_OR_LOCKED else Fault.PERMANENT
    fault = _by_sqlstate(cause)
    if committing and fault is Fault.LOST_CONNECTION:
        return Fault.AMBIGUOUS_COMMIT
    return fault


def _by_sqlstate(cause: BaseException) -> Fault:
    state = getattr(cause, "sqlstate", None)
    if state is None:
        # While connecting, libpq tells a text only; and who finds the connection closed gets none.
        return Fault.LOST_CONNECTION if _is_connection_error(cause) else Fault.PERMANENT
    if state in _TRANSIENT:
        return Fault.TRANSIENT
    if state in _AMBIGUOUS:
        return Fault.AMBIGUOUS_COMMIT
    if state in _LOST or state.startswith("08"):
        return Fault.LOST_CONNECTION
    return Fault.PERMANENT


def _is_connection_error(cause: BaseException) -> bool:
    if "number of parameters must be" in str(cause):
        return False  # libpq refused to send them; the connection is as good as before
    return isinstance(cause, OperationalError | InterfaceError) or any(
        parent.__name__ == "OperationalError" and parent.__module__.startswith("psycopg")
        for parent in type(cause).__mro__
    )


def _is_sqlite_error(error: BaseException) -> bool:
    # Python's own half of the module raises errors without a code, also an OperationalError.
    return hasattr(error, "sqlite_errorcode") or type(error).__module__ == "sqlite3"


def cause_of(error: BaseException) -> BaseException | None:
    """Return the driver error behind `error`, which may be `error`; None if there is none.

    Only `__cause__` is followed: `__context__` is what was being handled, not the reason.
    """
    known = None
    for candidate in _chain(error):
        if hasattr(candidate, "sqlstate") or _is_sqlite_error(candidate):
            return candidate
        if isinstance(candidate, DjangoDatabaseError):
            known = candidate
    return known


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and, one after another, what caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def describe(error: BaseException) -> str:
    """Return one line for a log: the server's main message without the rows that it quotes.

    Neither a password nor the values of a row appear in it. The host, the user and the database may
    when no connection was made.
    """
    cause = cause_of(error)
    if cause is None:
        return type(error).__name__
    message = getattr(getattr(cause, "diag", None), "message_primary", None)
    if _quotes_values(cause):
        message = type(cause).__name__
    elif message is None:
        message = next(iter(str(cause).strip().splitlines()), "") or type(cause).__name__
    state = getattr(cause, "sqlstate", None)
    return f"{message} [{state}]" if state else message


def _quotes_values(cause: BaseException) -> bool:
    """Tell whether even the main message may hold a value: invalid input syntax for ...: "it"."""
    if _is_sqlite_error(cause) and not hasattr(cause, "sqlite_errorcode"):
        return True  # could not decode to UTF-8 column ... with text ...
    if getattr(cause, "sqlstate", None) == _SYNTAX_ERROR:
        return True  # syntax error in tsquery: "it"
    return any(parent.__name__ == "DataError" for parent in type(cause).__mro__)
