"""The transactions of one request, one for each database that it uses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from session_mgmt.db.backoff import drop_dead_connections
from session_mgmt.db.lazy import LazyTransaction
from session_mgmt.db.outage import watch_pool
from session_mgmt.exceptions import CommitOutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from django.http import HttpRequest, HttpResponse

__all__ = ["RequestTransaction"]

logger = logging.getLogger(__name__)

_KEY = "_session_mgmt_transaction"


class RequestTransaction:
    """Begin with each database's first query; end all of them together.

    Databases commit one after the other. All are checked before the first one commits, and when one
    fails those that are left are rolled back; what has committed before stays and is logged.

    Attributes:
        is_whole: whether every database takes part, so that a failed request has done nothing.
        answer: takes the place of a 500 into which Django has turned an error.
    """

    def __init__(self, aliases: Iterable[str]) -> None:
        self._aliases = tuple(aliases)
        self._open: dict[str, LazyTransaction] = {}
        self._hooks: dict[str, list[Any]] = {}  # Any: the stubs leave out `robust`
        self.answer: HttpResponse | None = None
        self.is_whole = len(self._aliases) == len(connections.settings)

    @classmethod
    def attach(cls, request: HttpRequest, aliases: Iterable[str]) -> RequestTransaction:
        """Make the request's own."""
        transaction = cls(aliases)
        setattr(request, _KEY, transaction)
        transaction.begin()
        return transaction

    @classmethod
    def of(cls, request: HttpRequest) -> RequestTransaction:
        """Return the request's own.

        Raises:
            ImproperlyConfigured: AtomicRequestMiddleware is not installed.
        """
        transaction = cls.find(request)
        if transaction is None:
            raise ImproperlyConfigured(
                "This needs 'session_mgmt.middleware.AtomicRequestMiddleware' in MIDDLEWARE"
            )
        return transaction

    @classmethod
    def find(cls, request: object) -> RequestTransaction | None:
        """Return the request's own if it has one."""
        return cast("RequestTransaction | None", getattr(request, _KEY, None))

    def can_restart(self) -> bool:
        """Tell whether taking everything back now would lose nothing, and note where to go back."""
        if not self.is_whole or any(one.wrote() for one in self._open.values()):
            return False
        self._hooks = {alias: [*connections[alias].run_on_commit] for alias in self._open}
        return bool(self._open)

    def restart(self, error: BaseException) -> None:
        """Go back to where `can_restart` was asked, after this error."""
        self.rollback()
        drop_dead_connections(error)
        self.begin()
        for alias, hooks in self._hooks.items():
            connections[alias].run_on_commit += hooks

    def begin(self) -> None:
        """Promise a transaction on each database."""
        if not self.is_whole:
            for alias in set(connections).difference(self._aliases):
                watch_pool(connections[alias])
        try:
            for alias in self._aliases:
                self._open[alias] = LazyTransaction(connections[alias])
        except BaseException:
            self.rollback()
            raise

    def is_broken(self) -> bool:
        """Tell whether one of them can only be rolled back."""
        return any(one.is_broken() for one in self._open.values())

    def commit(self, only: Container[str] | None = None) -> None:
        """Commit all, or some before a view that wants no transaction there.

        Raises:
            TransactionManagementError: a database error was swallowed; all is rolled back.
            CommitOutcomeUnknownError: the connection was lost during a COMMIT, or not all failed.
        """
        self.is_whole &= only is None
        ending = list(self._open) if only is None else [a for a in self._open if a in only]
        committed: list[str] = []
        try:
            for alias in ending[1:]:  # the first one checks itself
                self._open[alias].check()
            for alias in ending:
                did_commit = self._open.pop(alias).commit()
                committed += [alias] * did_commit
        except BaseException as error:
            self.rollback()
            if committed and isinstance(error, Exception):
                logger.critical("Committed on %s, then failed; the rest is undone", committed)
                # Whoever sent the request must not be told that nothing was done.
                raise CommitOutcomeUnknownError from error
            raise

    def rollback(self) -> None:
        """Take back what has not been committed; harmless twice."""
        while self._open:
            self._open.popitem()[1].rollback()
