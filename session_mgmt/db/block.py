"""An atomic block that is ended by hand and knows how its COMMIT went."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.db import Error
from django.db.transaction import Atomic, TransactionManagementError

from session_mgmt.db.broken import raise_if_broken
from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.outage import watch_pool
from session_mgmt.db.witness import in_transaction
from session_mgmt.exceptions import CommitOutcomeUnknownError, ConfigurationError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Block"]


class Block(Atomic):
    """A transaction, or a savepoint inside somebody's transaction.

    Attributes:
        connection: of the thread that made the block.
        outermost: whether its end is a real COMMIT.
        unknown: whether the answer to the COMMIT was lost.
        committed: whether that has happened; an error that comes later is of an on_commit hook.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection.alias, savepoint=True, durable=False)
        self.connection = connection
        self.outermost = False
        self.committed = False
        self.unknown = False

    def begin(self) -> None:
        """Open it, connecting if need be.

        Raises:
            ConfigurationError: Django does not manage this database's transactions.
        """
        if not self.connection.settings_dict["AUTOCOMMIT"]:
            raise ConfigurationError(
                f"DATABASES[{self.connection.alias!r}]['AUTOCOMMIT'] is False, so that nothing "
                "here would ever be committed; leave it out"
            )
        self.outermost = not in_transaction(self.connection)
        if self.connection.connection is None:
            watch_pool(self.connection)
        self.__enter__()

    def require_innermost(self) -> None:
        """Refuse to end it while another block inside is open, or when it has been ended.

        Raises:
            TransactionManagementError: ending it now would end somebody else's.
        """
        if self.connection.atomic_blocks[-1:] != [self]:
            raise TransactionManagementError(
                "This transaction has been ended by somebody else"
                if self not in self.connection.atomic_blocks
                else "A transaction inside this one is still open; leave it, or await the task "
                "that opened it, first"
            )

    def commit(self) -> None:
        """End it for good, or take everything back and raise.

        Raises:
            TransactionManagementError: a swallowed error or a block left open inside made saving
                impossible.
            CommitOutcomeUnknownError: the connection was lost during the outermost COMMIT.
        """
        try:
            self.require_innermost()
            raise_if_broken(self.connection)
        except TransactionManagementError:
            self.rollback()
            raise
        self.finish()

    def finish(self) -> None:
        """Do as `commit` for a block that was found whole a moment ago."""
        hooks: list[Any] = self.connection.run_on_commit  # Any: the stubs leave out `robust`
        if hooks and self.outermost:
            # The first hook runs before another one can raise.
            hooks.insert(0, (set(), self._note_commit, False))
        try:
            self.__exit__(None, None, None)
        except Exception as error:
            lost = classify(error, committing=True) is Fault.AMBIGUOUS_COMMIT
            self.unknown = lost and self.outermost and not self.committed
            if self.unknown:
                raise CommitOutcomeUnknownError from error
            raise

    def rollback(self) -> None:
        """Take everything back, blocks left open inside included; nothing if it has ended."""
        # Leaving, Django connects again; an error of that must not hide the one that led here.
        with suppress(Error):
            while self in self.connection.atomic_blocks:
                self.connection.atomic_blocks[-1].__exit__(TransactionManagementError, None, None)

    def _note_commit(self) -> None:
        self.committed = True
