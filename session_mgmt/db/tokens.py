"""Tell by a row whether a transaction has committed, when its COMMIT was never answered.

The row is written in the transaction itself, so it is there exactly if the transaction is.

Looking for the row after a lost COMMIT would not do: the server may still be busy with it.
Inserting the row again does: the unique key makes the insert wait for a rival that has not ended,
and then either it is written, which proves that the rival rolled back, or the rival's is there.
"""

from __future__ import annotations

from typing import Final

from django.db import connections

from session_mgmt.exceptions import InvalidInputError
from session_mgmt.validation import checked_text

__all__ = ["MAX_TOKEN", "TABLE", "checked_token", "claim", "holder_of"]

TABLE: Final = "session_mgmt_committoken"
MAX_TOKEN: Final = 200  # characters


def checked_token(token: str) -> str:
    """Return a token that can be stored.

    Raises:
        InvalidInputError: it is empty, too long, or no text that a database takes.
    """
    if not token:
        raise InvalidInputError("token", "is empty; leave it out, or name the work")
    return checked_text("token", token, MAX_TOKEN)


def claim(using: str, token: str, holder: str) -> bool:
    """Write the token's row in the current transaction; False if it is taken for good.

    Waits for another transaction that wrote the same token and has not ended.

    Args:
        using: database alias.
        token: what names the work.
        holder: what names this call; 32 characters.

    Raises:
        OperationalError: at REPEATABLE READ and above, a row that the snapshot does not show.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (token, holder, created_at)"  # noqa: S608 # a constant
            " VALUES (%s, %s, CURRENT_TIMESTAMP) ON CONFLICT DO NOTHING",
            [token, holder],
        )
        return bool(cursor.rowcount == 1)


def holder_of(using: str, token: str) -> str | None:
    """Return who wrote the token's row."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT holder FROM {TABLE} WHERE token = %s", [token])  # noqa: S608
        row = cursor.fetchone()
    return None if row is None else str(row[0])
