"""An atomic block that is ended by hand and knows how its COMMIT went."""

from __future__ import annotations

from django.db import connections, transaction
from django.db.transaction import Atomic, TransactionManagementError

from session_mgmt.db.broken import raise_if_broken
from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.witness import in_transaction
from session_mgmt.exceptions import CommitOutcomeUnknownError

__all__ = ["Block"]


class Block(Atomic):
    """A transaction, or a savepoint inside somebody's transaction.

    Attributes:
        alias: the database.
        outermost: whether its end is a real COMMIT.
        committed: whether that has happened; an error that comes later is of an on_commit hook.
    """

    def __init__(self, using: str) -> None:
        super().__init__(using, savepoint=True, durable=False)
        self.alias = using
        self.outermost = False
        self.committed = False

    def begin(self) -> None:
        """Open it, connecting if need be."""
        self.outermost = not in_transaction(connections[self.alias])
        self.__enter__()
        if self.outermost:
            # The first hook runs before another one can raise.
            transaction.on_commit(self._note_commit, using=self.alias)

    def commit(self) -> None:
        """End it for good, or take everything back and raise.

        Raises:
            TransactionManagementError: a swallowed error made saving impossible.
            CommitOutcomeUnknownError: the connection was lost during the outermost COMMIT.
        """
        try:
            raise_if_broken(self.alias)
        except TransactionManagementError:
            self.rollback()
            raise
        try:
            self.__exit__(None, None, None)
        except Exception as error:
            lost = classify(error, committing=True) is Fault.AMBIGUOUS_COMMIT
            if lost and self.outermost and not self.committed:
                raise CommitOutcomeUnknownError from error
            raise

    def rollback(self) -> None:
        """Take everything back; a dead connection has done so by itself."""
        self.__exit__(TransactionManagementError, None, None)

    def _note_commit(self) -> None:
        self.committed = True
