"""A transaction that begins with the first query: without one it costs nothing, not a connection.

Django's `atomic` needs a connection to begin. Here the connection object is told that a transaction
is open before it is, so that an `atomic` of the code inside becomes a savepoint. All of Django's
ways to the database call `ensure_connection` or `close_if_health_check_failed` first; those two are
replaced on this one object until the first call, which connects and really begins.
"""

from __future__ import annotations

import enum
import logging
from typing import TYPE_CHECKING, Any, Final

from django.db.transaction import TransactionManagementError

from session_mgmt.db.block import Block
from session_mgmt.db.broken import is_broken, raise_if_broken
from session_mgmt.db.outage import connecting, watch_pool
from session_mgmt.db.ownership import SessionBlock
from session_mgmt.db.witness import in_transaction

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

__all__ = ["LazyTransaction"]

logger = logging.getLogger(__name__)

_REASON: Final = "rollback_exc"
_SHORT_USE: Final = "temporary_connection"
_WAYS_IN: Final = ("ensure_connection", "close_if_health_check_failed")


class _State(enum.Enum):
    PROMISED = "promised"
    BEGUN = "begun"
    ENDED = "ended"


class LazyTransaction:
    """One transaction on one connection, for the thread that it belongs to.

    Inside somebody's transaction, as in a test case, it is a savepoint and begins at once.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._block = Block(connection)
        self._failure: BaseException | None = None
        self._state = _State.ENDED
        if connection.atomic_blocks and isinstance(
            abandoned := connection.atomic_blocks[0], SessionBlock
        ):
            logger.critical(
                "A session on %r was never closed; what it wrote is rolled back", connection.alias
            )
            abandoned.rollback()
            connection.close()
        if in_transaction(self._connection):
            self._block.begin()
            self._state = _State.BEGUN
        else:
            self._promise()

    def wrote(self) -> bool:
        """Ask the database whether anything has been written or locked inside."""
        if self._state is not _State.BEGUN:
            return False
        if self._connection.vendor != "postgresql":
            return True  # not known
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
            return bool(cursor.fetchone()[0])

    def is_broken(self) -> bool:
        """Tell whether it can only be rolled back."""
        if self._state is _State.PROMISED:
            closed_unused = self._connection.closed_in_transaction
            return self._failure is not None or (
                self._connection.needs_rollback and not closed_unused
            )
        return self._state is _State.BEGUN and is_broken(self._connection)

    def check(self) -> None:
        """Refuse to commit what cannot be saved.

        Raises:
            TransactionManagementError: an error was swallowed, or a block inside is still open.
        """
        if self._state is _State.ENDED:
            return
        blocks = self._connection.atomic_blocks
        if not blocks or blocks[-1] is not self._block:
            raise TransactionManagementError(
                f"A transaction on {self._connection.alias!r} was still open when the request "
                "ended; await the tasks that opened it"
            )
        if self._failure is not None:
            raise TransactionManagementError(
                f"The database {self._connection.alias!r} could not be used, and that was swallowed"
            ) from self._failure
        if self.is_broken():
            raise_if_broken(self._connection)

    def commit(self) -> bool:
        """End it for good; what `on_commit` registered runs and is logged if it fails.

        Returns:
            Whether there was anything to commit.

        Raises:
            TransactionManagementError: a swallowed error made saving impossible.
            CommitOutcomeUnknownError: the connection was lost during COMMIT.
        """
        try:
            self.check()
        except TransactionManagementError:
            self.rollback()
            raise
        state = self._end()
        connection = self._connection
        hooks: list[Any] = connection.run_on_commit  # Any: the stubs leave out `robust`
        if hooks:
            connection.run_on_commit = [(ids, hook, True) for ids, hook, _ in hooks]  # type: ignore[misc]
        if state is _State.BEGUN:
            self._block.finish()
        elif hooks and state is _State.PROMISED:
            connection.run_and_clear_commit_hooks()
        return state is _State.BEGUN

    def rollback(self) -> None:
        """Take everything back, blocks that are still open inside included; harmless twice."""
        state = self._end()
        connection = self._connection
        if state is _State.BEGUN:
            self._block.rollback()
        elif state is _State.PROMISED:
            connection.run_on_commit, connection.atomic_blocks = [], []
            connection.savepoint_ids = []

    def _end(self) -> _State:
        state, self._state = self._state, _State.ENDED
        if state is _State.PROMISED:
            self._withdraw()
        return state

    def _promise(self) -> None:
        connection = self._connection
        if connection.connection is None:
            watch_pool(connection)  # also for a view that wants no transaction
        connection.in_atomic_block = True
        connection.commit_on_exit = True
        connection.needs_rollback = False
        # That of an earlier request would be taken for the reason.
        setattr(connection, _REASON, None)
        connection.atomic_blocks.insert(0, self._block)
        own = vars(connection)
        own[_WAYS_IN[0]] = own[_WAYS_IN[1]] = self._begin
        own[_SHORT_USE] = self._temporary_connection
        self._state = _State.PROMISED

    def _withdraw(self) -> None:
        connection = self._connection
        own = vars(connection)
        del own[_WAYS_IN[0]], own[_WAYS_IN[1]], own[_SHORT_USE]
        connection.atomic_blocks.remove(self._block)
        connection.in_atomic_block = False
        if connection.closed_in_transaction:  # close() believed in the transaction
            connection.connection = None
        connection.closed_in_transaction = connection.needs_rollback = False

    def _temporary_connection(self) -> AbstractContextManager[CursorWrapper]:
        # It closes what it has opened, which would be the connection of this transaction.
        self._connection.ensure_connection()
        return self._connection.temporary_connection()

    def _begin(self) -> None:
        connection = self._connection
        if not connection.closed_in_transaction:
            # A rollback was asked for before there was anything; beginning would forget that.
            connection.validate_no_broken_transaction()
        self._withdraw()
        # Connecting forgets what was noted meanwhile: hooks, and blocks without a savepoint.
        hooks, blocks, ids = (
            connection.run_on_commit, connection.atomic_blocks, connection.savepoint_ids
        )  # fmt: skip
        connection.run_on_commit, connection.atomic_blocks, connection.savepoint_ids = [], [], []
        try:
            # A connection that is there and is not to be pinged needs no look-out.
            if (
                connection.connection is not None
                and not connection.settings_dict["CONN_HEALTH_CHECKS"]
            ):
                self._block.begin()
            else:
                with connecting(connection):
                    self._block.begin()
        except BaseException as error:
            self._failure = error
            connection.atomic_blocks = []
            self._promise()  # what comes next must not run in autocommit
            raise
        else:
            self._state = _State.BEGUN
        finally:
            connection.run_on_commit += hooks
            connection.atomic_blocks += blocks
            connection.savepoint_ids += ids
