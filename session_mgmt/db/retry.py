"""Repeat a function that met a transient database error, if that is proven harmless (seed 002)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction, sync_to_async

from session_mgmt.db.backoff import Attempts, Backoff, drop_dead_connections, was_given_up
from session_mgmt.db.errors import Fault
from session_mgmt.db.uninterrupted import uninterrupted
from session_mgmt.db.witness import Witness
from session_mgmt.exceptions import CommitOutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["db_retry"]

F = TypeVar("F", bound="Callable[..., Any]")  # Any: the decorated function keeps its own types


@overload
def db_retry(function: F, /) -> F: ...
@overload
def db_retry(
    *,
    max_retries: int | None = None,
    initial_delay: float | None = None,
    max_delay: float | None = None,
    backoff: float | None = None,
    budget: float | None = None,
) -> Callable[[F], F]: ...


def db_retry(
    function: F | None = None,
    /,
    *,
    max_retries: int | None = None,
    initial_delay: float | None = None,
    max_delay: float | None = None,
    backoff: float | None = None,
    budget: float | None = None,
) -> F | Callable[[F], F]:
    """Call a function again after a transient database error, for functions, methods, coroutines.

    Bare or with arguments. It runs again only if the failed attempt is proven to have committed
    nothing (see `db.witness`); what it did outside of the database is done again. Inside somebody's
    transaction it is called once, and the error goes to whoever owns that. What an inner `db_retry`
    gave up on is not tried again by an outer one. From seed 002.

    Args:
        function: what to decorate.
        max_retries: repetitions after the first call, 3; 0 never repeats.
        initial_delay: seconds before the first repetition, 0.5.
        max_delay: the longest wait in seconds, 5.0; never more than the setting RETRY_MAX_DELAY.
        backoff: factor from one wait to the next, 2.0.
        budget: seconds, 30; no repetition starts later than this. The defaults are settings.

    Raises:
        CommitOutcomeUnknownError: the connection was lost where a write may have been committed.
        ConfigurationError: an argument is out of range.
        TypeError: what is decorated is not a function, or a generator.
    """
    policy = Backoff(
        max_retries=max_retries,
        initial_delay=initial_delay,
        max_delay=max_delay,
        backoff=backoff,
        budget=budget,
    )
    if function is None:
        return lambda function: _decorate(function, policy)
    return _decorate(function, policy)


def _decorate(function: F, policy: Backoff) -> F:
    if not callable(function):
        raise TypeError(f"db_retry goes below {type(function).__name__}, next to the function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"db_retry cannot repeat {function.__name__}: it is a generator")
    decorate = _async_wrapper if iscoroutinefunction(function) else _sync_wrapper
    return cast(F, decorate(function, policy))


def _sync_wrapper(function: Callable[..., Any], policy: Backoff) -> Callable[..., Any]:
    name = getattr(function, "__name__", type(function).__name__)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        attempts = None
        while True:
            witness = Witness.start()
            if witness is None:
                return function(*args, **kwargs)
            attempts = attempts or Attempts(name, policy)
            try:
                return function(*args, **kwargs)
            except Exception as error:
                wait = _wait_after(error, witness, attempts)
            finally:
                witness.stop()
            time.sleep(wait)

    return wrapper


def _async_wrapper(
    function: Callable[..., Awaitable[Any]], policy: Backoff
) -> Callable[..., Awaitable[Any]]:
    name = getattr(function, "__name__", type(function).__name__)

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        attempts = None
        while True:
            # Connections belong to the thread in which the coroutine's database work runs.
            witness = await uninterrupted(Witness.start, _stop)
            if witness is None:
                return await function(*args, **kwargs)
            attempts = attempts or Attempts(name, policy)
            try:
                return await function(*args, **kwargs)
            except Exception as error:
                wait = await sync_to_async(_wait_after)(error, witness, attempts)
            finally:
                await uninterrupted(witness.stop)
            await asyncio.sleep(wait)

    return wrapper


def _stop(witness: Witness | None) -> None:
    if witness is not None:
        witness.stop()


def _wait_after(error: Exception, witness: Witness, attempts: Attempts) -> float:
    fault = witness.fault(error)
    drop_dead_connections(error)  # also after the last attempt, for whoever calls next
    if fault is Fault.AMBIGUOUS_COMMIT and not isinstance(error, CommitOutcomeUnknownError):
        raise CommitOutcomeUnknownError from error
    if fault in {Fault.PERMANENT, Fault.AMBIGUOUS_COMMIT} or was_given_up(error):
        raise error
    wait = attempts.wait_after(error)
    if wait is None:
        raise error
    return wait
