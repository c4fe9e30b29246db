"""Know which function does which type of job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from asgiref.sync import iscoroutinefunction

from session_mgmt.converters import no_or_positive_duration
from session_mgmt.exceptions import ConfigurationError, shown
from session_mgmt.models.job_creation import MAX_JOB_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from session_mgmt.jobs.context import JobContext

__all__ = ["Handler", "job_handler", "registered"]

# What a handler returns is stored as the job's result, so it must be JSON or None.
HandlerFunction: TypeAlias = "Callable[[JobContext], object]"


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function.

    Attributes:
        job_type: the name that jobs call it by.
        function: takes a `JobContext`, returns a JSON value or None.
        max_retries: how many attempts may follow the first, for jobs that do not say so.
        timeout: how long an attempt may take; None means any time.
    """

    job_type: str
    function: HandlerFunction
    max_retries: int
    timeout: timedelta | None


_handlers: Final[dict[str, Handler]] = {}


def job_handler(
    job_type: str, *, max_retries: int = 3, timeout: timedelta | float | None = None
) -> Callable[[HandlerFunction], HandlerFunction]:
    """Register the decorated function for jobs of this type.

    Modules named `job_handlers` of installed apps are imported at start-up, so that is the place.
    An attempt can be cut short at any point and the function called again: what it did through
    its context is there, the rest must bear being done again. Raise `GiveUp` when another attempt
    would be of no use.

    Args:
        job_type: the name under which jobs are created.
        max_retries: how many attempts may follow the first, for jobs that do not say so.
        timeout: how long an attempt may take, as a timedelta or in seconds. After that it counts as
            failed and can write nothing, but only the engine can stop its code.

    Raises:
        ConfigurationError: an argument is wrong, or another function has this name already.
    """
    _check(job_type, max_retries)
    limit = _limit(timeout)

    def register(function: HandlerFunction) -> HandlerFunction:
        if iscoroutinefunction(function):
            raise ConfigurationError(
                f"{_place(function)} is a coroutine function; handlers are plain functions, "
                "which may use asgiref.sync.async_to_sync"
            )
        known = _handlers.get(job_type)
        if known is not None and _place(known.function) != _place(function):
            raise ConfigurationError(
                f"Job type {job_type!r} is handled by {_place(known.function)} already; "
                f"give {_place(function)} another name"
            )
        _handlers[job_type] = Handler(job_type, function, max_retries, limit)
        return function

    return register


def _check(job_type: object, max_retries: object) -> None:
    if not isinstance(job_type, str) or not 0 < len(job_type) <= MAX_JOB_TYPE:
        raise ConfigurationError(
            f"A job type is a text of 1 to {MAX_JOB_TYPE} characters, not {shown(job_type)}"
        )
    if not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0:
        problem = f"max_retries must be a whole number, 0 or more, not {shown(max_retries)}"
        raise ConfigurationError(f"Job type {job_type!r}: {problem}")


def _limit(timeout: timedelta | float | None) -> timedelta | None:
    try:
        return no_or_positive_duration(timeout)
    except ConfigurationError as error:
        raise ConfigurationError(f"timeout {error}") from None


def registered() -> Mapping[str, Handler]:
    """Return the handlers of this process by their types."""
    return MappingProxyType(_handlers)


def _place(function: HandlerFunction) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"
