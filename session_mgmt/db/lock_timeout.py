"""Wait for locks for a limited time only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.db import connections

from session_mgmt.db.errors import cause_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["busy_timeout", "is_lock_failure", "is_out_of_time", "lock_timeout"]

_LOCK_NOT_AVAILABLE: Final = "55P03"
_QUERY_CANCELED: Final = "57014"
_SQLITE_BUSY_OR_LOCKED: Final = {5, 6}


@contextmanager
def lock_timeout(
    seconds: float | None, using: str, *, statement: float | None = None
) -> Iterator[None]:
    """Let PostgreSQL wait for each lock in the block no longer; inside of a transaction.

    After an error the rollback of that, or of its savepoint, puts back what was set before.
    Elsewhere, and without a limit, it does nothing.

    Args:
        seconds: for each lock.
        using: database alias.
        statement: seconds that a statement may take in all, its locks included.
    """
    connection = connections[using]
    if seconds is None or connection.vendor != "postgresql":
        yield
        return
    limits = {"lock_timeout": seconds}
    if statement is not None:
        limits["statement_timeout"] = statement
    names = list(limits)
    current = ", ".join(["current_setting(%s)"] * len(names))
    setting = ", ".join(["set_config(%s, %s, true)"] * len(names))
    with connection.cursor() as cursor:
        # PostgreSQL takes 0 for no limit.
        new = [part for name in names for part in (name, f"{max(1, round(limits[name] * 1000))}ms")]
        cursor.execute(f"SELECT {current}, {setting}", [*names, *new])
        before = cursor.fetchone()
        yield
        old = [part for name, value in zip(names, before, strict=False) for part in (name, value)]
        cursor.execute(f"SELECT {setting}", old)


@contextmanager
def busy_timeout(seconds: float | None, using: str) -> Iterator[None]:
    """Let SQLite wait in the block no longer for the beginning of a transaction, its only lock."""
    connection = connections[using]
    if seconds is None or connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        before = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {before}")


def is_out_of_time(error: BaseException) -> bool:
    """Tell whether a lock was not to be had, or a statement did not end, in time."""
    cancelled = getattr(cause_of(error), "sqlstate", None) == _QUERY_CANCELED
    return cancelled or is_lock_failure(error)


def is_lock_failure(error: BaseException) -> bool:
    """Tell whether a lock was not to be had in time."""
    cause = cause_of(error)
    state = getattr(cause, "sqlstate", None)
    return state == _LOCK_NOT_AVAILABLE or (
        getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_BUSY_OR_LOCKED
    )
