"""Know which session a task may build on, so that two tasks never end each other's work.

Several asyncio tasks can share a thread and its connection. A task sees the sessions that it, or
whoever started it, has opened; when the innermost one on the connection is another, it must wait.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from django.db.transaction import TransactionManagementError

from session_mgmt.db.block import Block

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["SessionBlock", "innermost", "refuse_interleaving", "set_innermost"]

_innermost: ContextVar[Mapping[str, object] | None] = ContextVar("session_mgmt", default=None)


class SessionBlock(Block):
    """A session's own block, told from those of other code on the same connection."""

    def __init__(self, connection: BaseDatabaseWrapper, owner: object) -> None:
        super().__init__(connection)
        self.owner = owner


def innermost(alias: str) -> object | None:
    """Return the session that this task sees innermost on a database."""
    return (_innermost.get() or {}).get(alias)


def set_innermost(alias: str, owner: object | None) -> None:
    """Let this task, and those that it starts, see a session as the innermost one."""
    _innermost.set({**(_innermost.get() or {}), alias: owner})


def refuse_interleaving(connection: BaseDatabaseWrapper) -> None:
    """Refuse to build on a session of another task.

    Raises:
        TransactionManagementError: another task has a session open on this connection.
    """
    blocks = [block for block in connection.atomic_blocks if isinstance(block, SessionBlock)]
    if blocks and blocks[-1].owner is not innermost(connection.alias):
        raise TransactionManagementError(
            "Another task has a session open on this connection; two that end in any order "
            "would undo or commit each other's work. Await one before you open the next."
        )
