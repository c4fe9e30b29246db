"""Wait for locks for a limited time only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.db import connections

from session_mgmt.db.errors import cause_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["busy_timeout", "is_lock_failure", "lock_timeout"]

_LOCK_NOT_AVAILABLE: Final = "55P03"
_SQLITE_BUSY_OR_LOCKED: Final = {5, 6}


@contextmanager
def lock_timeout(seconds: float | None, using: str) -> Iterator[None]:
    """Let PostgreSQL wait for each lock in the block no longer; inside of a transaction.

    After an error the rollback of that, or of its savepoint, puts back what was set before.
    Elsewhere, and without a limit, it does nothing.
    """
    connection = connections[using]
    if seconds is None or connection.vendor != "postgresql":
        yield
        return
    set_limit = "set_config('lock_timeout', %s, true)"
    with connection.cursor() as cursor:
        # PostgreSQL takes 0 for no limit.
        limit = f"{max(1, round(seconds * 1000))}ms"
        cursor.execute(f"SELECT current_setting('lock_timeout'), {set_limit}", [limit])
        before, _ = cursor.fetchone()
        yield
        cursor.execute(f"SELECT {set_limit}", [before])


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


def is_lock_failure(error: BaseException) -> bool:
    """Tell whether a lock was not to be had in time."""
    cause = cause_of(error)
    state = getattr(cause, "sqlstate", None)
    return state == _LOCK_NOT_AVAILABLE or (
        getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_BUSY_OR_LOCKED
    )
