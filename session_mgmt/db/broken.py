"""Notice a transaction that can no longer save anything although nobody said so.

A view or a function that swallows a database error leaves PostgreSQL's transaction aborted. COMMIT
then answers ROLLBACK without an error, and Django reports success having saved nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.transaction import TransactionManagementError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["is_broken", "raise_if_broken"]

_LIBPQ_INERROR: Final = 3


def is_broken(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the open transaction can only be rolled back; the database is not asked."""
    if connection.needs_rollback or connection.closed_in_transaction:
        return True
    driver = connection.connection
    if driver is None:
        return False
    if connection.vendor == "sqlite":
        return not driver.in_transaction  # a statement of its own ended it: ON CONFLICT ROLLBACK
    if connection.vendor != "postgresql":
        return False
    return bool(driver.closed or driver.pgconn.transaction_status == _LIBPQ_INERROR)


def raise_if_broken(connection: BaseDatabaseWrapper) -> None:
    """Refuse to go on to a COMMIT that would silently save nothing.

    Raises:
        TransactionManagementError: a database error was swallowed, or the connection closed.
    """
    if is_broken(connection):
        raise TransactionManagementError(
            f"Nothing can be saved in this transaction on {connection.alias!r}: an error inside it "
            "was swallowed, its connection was closed, or a rollback was asked for. Let the error "
            "out, or put the statement that may fail into a transaction.atomic() of its own."
        )
