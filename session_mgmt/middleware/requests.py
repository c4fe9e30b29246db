"""One request is one transaction: a request that fails writes nothing, one that succeeds all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db import Error, connections

from session_mgmt.conf import get_settings
from session_mgmt.db.connection import release
from session_mgmt.exceptions import CommitOutcomeUnknownError
from session_mgmt.middleware import converted
from session_mgmt.middleware.answers import SAFE_METHODS, unavailable
from session_mgmt.middleware.unit import RequestTransaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["AtomicRequestMiddleware"]


class AtomicRequestMiddleware:
    """Give each request a transaction on each database, begun by its first query.

    | what happens | outcome |
    |---|---|
    | the view raises, Http404 and PermissionDenied too | rolled back before the error handler |
    | it returns 2xx or 3xx | committed before the answer is sent, and before a stream's body |
    | it returns 4xx | committed, or rolled back with the setting ROLLBACK_ON_4XX |
    | it returns 5xx | rolled back |
    | it swallowed a database error and returns 2xx or 3xx | rolled back, 500 |
    | the commit fails | 503 with Retry-After if that is transient, else 500 |
    | the answer to COMMIT is lost | 503 for a safe method, else 500: it may have happened |
    | an on_commit hook fails | logged |
    | the database is away | 503 with Retry-After; pages that need no database answer |

    Views under `transaction.non_atomic_requests` run without; with ATOMIC_SAFE_METHODS False so do
    GET, HEAD, OPTIONS and TRACE. Several databases commit one after the other, not as one. Put it
    before the middleware that writes (sessions, messages) and after UpdateCacheMiddleware. An
    exception that an inner middleware turns into an answer counts as that answer.

    From seeds 003 and 004.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:  # Any: sync or async
        converted.connect()
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request inside its transaction."""
        if self._is_async:
            return self._acall(request)
        transaction = self._begin(request)
        try:
            response: HttpResponseBase = self.get_response(request)
        except BaseException:
            transaction.rollback()
            raise
        return self._finish(request, transaction, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        # Connections belong to the thread in which this request's database work runs.
        transaction = await sync_to_async(self._begin)(request)
        try:
            response: HttpResponseBase = await self.get_response(request)
        except BaseException:
            await asyncio.shield(sync_to_async(transaction.rollback)())
            raise
        return await asyncio.shield(sync_to_async(self._finish)(request, transaction, response))

    def process_view(
        self, request: HttpRequest, view: Callable[..., object], args: object, kwargs: object
    ) -> None:
        """End the transaction before a view that wants none."""
        non_atomic = getattr(view, "_non_atomic_requests", None)
        if non_atomic:
            RequestTransaction.of(request).commit(only=non_atomic)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Roll back before the error handler runs; answer 503 when trying later may help."""
        transaction = RequestTransaction.of(request)
        transaction.rollback()
        session = getattr(request, "session", None)
        if session is not None:
            session.modified = False  # or what the view put into it were saved with a 403 or 404
        return unavailable(request, exception, is_whole=transaction.is_whole)

    def _begin(self, request: HttpRequest) -> RequestTransaction:
        settings = get_settings()
        aliases = settings.ATOMIC_ALIASES
        if aliases is None:
            aliases = tuple(connections)
        if request.method in SAFE_METHODS and not settings.ATOMIC_SAFE_METHODS:
            aliases = ()
        return RequestTransaction.attach(request, aliases)

    def _finish(
        self, request: HttpRequest, transaction: RequestTransaction, response: HttpResponseBase
    ) -> HttpResponseBase:
        status = response.status_code
        failed = status >= 500 or (status >= 400 and get_settings().ROLLBACK_ON_4XX)
        if failed or (status >= 400 and transaction.is_broken()):
            transaction.rollback()
            return transaction.answer or response
        try:
            transaction.commit()
        except (Error, CommitOutcomeUnknownError) as error:
            answer = unavailable(request, error, is_whole=transaction.is_whole)
            if answer is None:
                raise
            return answer
        if response.streaming:
            # Django keeps it until the stream has ended; a site of streams would starve.
            for connection in connections.all(initialized_only=True):
                release(connection)
        return response
