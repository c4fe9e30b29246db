"""Let a view run again when the database says that its transaction must."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async

from session_mgmt.db.backoff import Attempts, Backoff
from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.outage import found_away
from session_mgmt.middleware.unit import RequestTransaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

__all__ = ["atomic_request"]

View = TypeVar("View", bound="Callable[..., Any]")  # Any: views keep their own types


def atomic_request(*, retry: int) -> Callable[[View], View]:
    """Call a view again, in a fresh transaction, after a transient error before the commit.

    Only if all databases take part and nothing was written before the view was called; not after
    the view has changed the session, and not while the database is away. What the view does outside
    of the database is done at each call. A COMMIT that fails is not repeated, it answers 503.

    Args:
        retry: repetitions after the first call.

    Raises:
        ConfigurationError: `retry` is negative.
        ImproperlyConfigured: the view is called without the middleware.
    """
    policy = Backoff(max_retries=retry)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            calls = _Calls(request, view, policy)
            while True:
                try:
                    return view(request, *args, **kwargs)
                except Exception as error:
                    wait = calls.wait_after(error)
                time.sleep(wait)

        @functools.wraps(view)
        async def awrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            calls = await sync_to_async(_Calls)(request, view, policy)
            while True:
                try:
                    return await view(request, *args, **kwargs)
                except Exception as error:
                    wait = await sync_to_async(calls.wait_after)(error)
                await asyncio.sleep(wait)

        return cast(View, awrapper if iscoroutinefunction(view) else wrapper)

    return decorate


class _Calls:
    """The calls of one request's view."""

    def __init__(self, request: HttpRequest, view: Callable[..., Any], policy: Backoff) -> None:
        self._request = request
        self._transaction = RequestTransaction.of(request)
        self._may_repeat = self._transaction.can_restart()
        self._modified = getattr(getattr(request, "session", None), "modified", False)
        self._attempts = Attempts(getattr(view, "__name__", type(view).__name__), policy)

    def wait_after(self, error: Exception) -> float:
        """Take the call back and return the seconds to wait, or raise the error for good."""
        transient = classify(error) in {Fault.TRANSIENT, Fault.LOST_CONNECTION}
        session = getattr(self._request, "session", None)
        is_same = session is None or session.modified == self._modified
        may_repeat = self._may_repeat and transient and is_same and not found_away()
        wait = self._attempts.wait_after(error) if may_repeat and _rewind(self._request) else None
        if wait is None:
            raise error
        self._transaction.restart(error)
        return wait


def _rewind(request: HttpRequest) -> bool:
    """Make the body readable again; False if the view has consumed it as a stream."""
    read_as_stream = getattr(request, "_read_started", False) and not (
        hasattr(request, "_body") or hasattr(request, "_files")
    )
    if not read_as_stream:
        for file in getattr(request, "_files", {}).values():
            file.seek(0)
    return not read_as_stream
