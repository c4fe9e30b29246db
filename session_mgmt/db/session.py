"""A unit of work as a block: `with get_db_session() as session:` (seeds 002, 003, 004)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, Error, connections, models
from django.db.transaction import TransactionManagementError

from session_mgmt.db.backoff import drop_dead_connections
from session_mgmt.db.connection import connect_patiently, release
from session_mgmt.db.errors import describe
from session_mgmt.db.ownership import (
    SessionBlock,
    innermost,
    refuse_interleaving,
    set_innermost,
)
from session_mgmt.db.queries import SessionQuerySet, query_on
from session_mgmt.db.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DbSession", "get_db_session"]

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=models.Model)


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
        self._block: SessionBlock | None = None
        self._outer: object | None = None
        self._opened_connection = False

    def query(self, model: type[M]) -> SessionQuerySet[M]:
        """Return the model's QuerySet on this database; it also knows `filter_by(**equal)`."""
        self._opened()
        try:
            asyncio.get_running_loop()  # its queries will run in the session's thread
        except RuntimeError:
            self._connection.validate_thread_sharing()  # in another they would commit at once
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
                Or a block inside is open, and nothing was done.
            CommitOutcomeUnknownError: the connection was lost during COMMIT.
        """
        block = self._owned()
        block.require_innermost()
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
        block = self._owned()
        block.require_innermost()
        self._block = None
        block.rollback()
        self._begin()

    def savepoint(self) -> DbSession:
        """Return an inner session for `with`: an error inside undoes only what it did."""
        self._opened()
        return DbSession(self.alias)

    def close(self) -> None:
        """Undo what was not committed and give the connection back; harmless twice."""
        if self._block is not None:
            self._connection.validate_thread_sharing()
            block, self._block = self._block, None
            if innermost(self.alias) is self:
                set_innermost(self.alias, self._outer)
            block.rollback()
        self._release()

    async def aadd(self, instance: models.Model) -> None:
        """Do as `add`, from async code."""
        await sync_to_async(self.add)(instance)

    async def acommit(self) -> None:
        """Do as `commit`, from async code."""
        await uninterrupted(self.commit)

    async def arollback(self) -> None:
        """Do as `rollback`, from async code."""
        await uninterrupted(self.rollback)

    async def aclose(self) -> None:
        """Do as `close`, from async code."""
        await uninterrupted(self.close)

    def open(self) -> Self:
        """Begin without a `with`; `close` must follow. For code that cannot be a block."""
        if self._block is not None:
            raise TransactionManagementError("This session is open already; make another one")
        self._connection = connections[self.alias]
        refuse_interleaving(self._connection)
        self._opened_connection = self._connection.connection is None
        self._outer = innermost(self.alias)
        try:
            connect_patiently(self._connection)
            self._begin()
        except BaseException:
            self._release()
            raise
        set_innermost(self.alias, self)
        return self

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        block = self._block
        if block is None or exc is not None:
            if block is not None and exc is not None:
                logger.error("Database session error, rolling back: %s", describe(exc))
            self.close()  # harmless if it was closed early
            if exc is not None:
                drop_dead_connections(exc)
            return
        self._connection.validate_thread_sharing()
        try:
            block.commit()
        finally:
            self.close()

    async def __aenter__(self) -> Self:
        await uninterrupted(self.open, DbSession.close)
        # What the thread has noted is seen by the task that waited for it alone.
        set_innermost(self.alias, self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await uninterrupted(partial(self.__exit__, exc_type, exc, traceback))
        finally:
            if innermost(self.alias) is self:
                set_innermost(self.alias, self._outer)

    def _begin(self) -> None:
        block = SessionBlock(self._connection, self)
        block.begin()
        self._block = block

    def _opened(self) -> SessionBlock:
        if self._block is None:
            raise TransactionManagementError("This session is closed; open one with get_db_session")
        return self._block

    def _owned(self) -> SessionBlock:
        block = self._opened()
        self._connection.validate_thread_sharing()
        if block not in self._connection.atomic_blocks:
            block.require_innermost()
        return block

    def _release(self) -> None:
        if self._opened_connection:
            self._opened_connection = False
            release(self._connection)
