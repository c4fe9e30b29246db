"""Know which function does which type of job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from session_mgmt.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """

    job_type: str
    function: HandlerFunction
    max_retries: int


_handlers: Final[dict[str, Handler]] = {}


def job_handler(
    job_type: str, *, max_retries: int = 3
) -> Callable[[HandlerFunction], HandlerFunction]:
    """Register the decorated function for jobs of this type.

    Modules named `job_handlers` of installed apps are imported at start-up, so that is the place.
    An attempt can be cut short at any point and the function called again: what it did through
    its context is there, the rest must bear being done again.

    Args:
        job_type: the name under which jobs are created.
        max_retries: how many attempts may follow the first, for jobs that do not say so.

    Raises:
        ConfigurationError: another function has this name already.
    """

    def register(function: HandlerFunction) -> HandlerFunction:
        known = _handlers.get(job_type)
        if known is not None and _place(known.function) != _place(function):
            raise ConfigurationError(
                f"Job type {job_type!r} is handled by {_place(known.function)} already; "
                f"give {_place(function)} another name"
            )
        _handlers[job_type] = Handler(job_type, function, max_retries)
        return function

    return register


def registered() -> Mapping[str, Handler]:
    """Return the handlers of this process by their types."""
    return MappingProxyType(_handlers)


def _place(function: HandlerFunction) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"
