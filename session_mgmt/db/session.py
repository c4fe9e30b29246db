"""A unit of work as a block: `with get_db_session() as session:` (seeds 002, 003, 004)."""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Self, TypeVar

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, Error, connections, models
from django.db.transaction import TransactionManagementError

from session_mgmt.db.backoff import drop_dead_connections
from session_mgmt.db.block import Block
from session_mgmt.db.connection import connect_patiently, release
from session_mgmt.db.errors import describe
from session_mgmt.db.queries import SessionQuerySet, query_on

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DbSession", "get_db_session"]

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=models.Model)


class _SessionBlock(Block):
    """A session's own block, told from those of other code on the same connection."""


_current: ContextVar[_SessionBlock | None] = ContextVar("session_mgmt_db_session", default=None)


def get_db_session(using: str | None = None) -> DbSession:
    """Return a session for `with` or `async with`: commits on success, rolls back on an error.

    Entering opens a transaction, and tries again while no connection is to be had. Leaving ends it
    and gives the connection back if the session opened it, so that a thread that ends leaks none.
    Inside a transaction the session is a savepoint of that. What the block does is never repeated,
    since a block cannot be run twice: `db_retry` and `run_in_transaction` repeat functions.

    Args:
        using: database alias; None means the default one.

    From seeds 002, 003 and 004.
    """
    return DbSession(using)


class DbSession:
    """One transaction after another on one database, for one thread or one asyncio task.

    All of Django's ORM takes part in it; repositories that are given the same session share it.

    Attributes:
        alias: the database.
    """

    def __init__(self, using: str | None = None) -> None:
        self.alias = using or DEFAULT_DB_ALIAS
        self._connection = connections[self.alias]
        self._block: _SessionBlock | None = None
        self._outer: _SessionBlock | None = None
        self._opened_connection = False

    def query(self, model: type[M]) -> SessionQuerySet[M]:
        """Return the model's QuerySet on this database; it also knows `filter_by(**equal)`."""
        self._opened()
        return query_on(model, self.alias)

    def add(self, instance: models.Model) -> None:
        """Save an object at once; it is undone if the session is rolled back."""
        self._owned()
        instance.save(using=self.alias)

    def commit(self) -> None:
        """End the transaction for good and begin the next.

        Only the outermost session really commits. In an inner one this ends its savepoint: a later
        error inside does not undo it, the outer transaction still may.

        Raises:
            TransactionManagementError: an error was swallowed, nothing could be saved; rolled back.
            CommitOutcomeUnknownError: the connection was lost during COMMIT.
        """
        block = self._owned()
        self._block = None
        try:
            block.commit()
        except BaseException:
            with suppress(Error):
                self._begin()
            raise
        self._begin()

    def rollback(self) -> None:
        """Undo everything since the last commit and begin anew."""
        self._owned().rollback()
        self._begin()

    def savepoint(self) -> DbSession:
        """Return an inner session for `with`: an error inside undoes only what it did."""
        self._opened()
        return DbSession(self.alias)

    def close(self) -> None:
        """Undo what was not committed and give the connection back; harmless twice."""
        if self._block is not None:
            block = self._leave()
            block.rollback()
            self._release()

    async def aadd(self, instance: models.Model) -> None:
        """Do as `add`, from async code."""
        await sync_to_async(self.add)(instance)

    async def acommit(self) -> None:
        """Do as `commit`, from async code."""
        await sync_to_async(self.commit)()

    async def arollback(self) -> None:
        """Do as `rollback`, from async code."""
        await sync_to_async(self.rollback)()

    async def aclose(self) -> None:
        """Do as `close`, from async code."""
        await sync_to_async(self.close)()

    def open(self) -> Self:
        """Begin without a `with`; `close` must follow. For code that cannot be a block."""
        if self._block is not None:
            raise TransactionManagementError("This session is open already; make another one")
        self._connection = connections[self.alias]
        self._refuse_interleaving()
        self._opened_connection = self._connection.connection is None
        self._outer = _current.get()
        connect_patiently(self._connection)
        self._begin()
        return self

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._block is None:  # closed early, or its connection was lost for good
            self._release()
            return
        block = self._leave()
        try:
            if exc is None:
                block.commit()
            else:
                logger.error("Database session error, rolling back: %s", describe(exc))
                block.rollback()
                drop_dead_connections(exc)
        finally:
            self._release()

    async def __aenter__(self) -> Self:
        return await sync_to_async(self.open)()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await sync_to_async(self.__exit__)(exc_type, exc, traceback)

    def _begin(self) -> None:
        self._block = _SessionBlock(self._connection)
        self._block.begin()
        _current.set(self._block)

    def _opened(self) -> _SessionBlock:
        if self._block is None:
            raise TransactionManagementError("This session is closed; open one with get_db_session")
        return self._block

    def _owned(self) -> _SessionBlock:
        block = self._opened()
        self._connection.validate_thread_sharing()
        return block

    def _leave(self) -> _SessionBlock:
        """Forget the block, which must be the innermost one by now."""
        block = self._owned()
        self._block = None
        _current.set(self._outer)
        open_blocks = self._connection.atomic_blocks
        if block in open_blocks and open_blocks[-1] is not block:
            while open_blocks and open_blocks[-1] is not block:
                open_blocks[-1].__exit__(TransactionManagementError, None, None)
            block.rollback()
            self._release()
            raise TransactionManagementError(
                "A transaction inside this session was still open when it ended, so all of it was "
                "rolled back; await the tasks that use the session before you leave it"
            )
        return block

    def _release(self) -> None:
        if self._opened_connection:
            self._opened_connection = False
            release(self._connection)

    def _refuse_interleaving(self) -> None:
        blocks = [
            block for block in self._connection.atomic_blocks if isinstance(block, _SessionBlock)
        ]
        if blocks and blocks[-1] is not _current.get():
            raise TransactionManagementError(
                "Another task has a session open on this connection; two that end in any order "
                "would undo or commit each other's work. Await one before you open the next."
            )
