"""Check the numbers that a manager is configured with."""

from __future__ import annotations

from datetime import timedelta
from math import isfinite

from session_mgmt.exceptions import InvalidInputError

__all__ = ["checked_hours", "checked_interval", "checked_limit"]

_MOST_SESSIONS = 2_147_483_647


def checked_hours(name: str, value: object) -> timedelta:
    """Return so many hours.

    Raises:
        InvalidInputError: it is not a number of hours, 0 or more.
    """
    number = _number(value)
    if number is None or number < 0:
        raise InvalidInputError(name, f"must be a number of hours, 0 or more, not {value!r}")
    try:
        return timedelta(hours=number)
    except OverflowError:
        raise InvalidInputError(name, f"is too long: {value!r} hours") from None


def checked_interval(value: object) -> float | None:
    """Return seconds, from seconds or a timedelta; None stays None.

    Raises:
        InvalidInputError: it is neither, or not more than 0.
    """
    if value is None:
        return None
    number = value.total_seconds() if isinstance(value, timedelta) else _number(value)
    if number is None or number <= 0:
        problem = f"must be seconds or a timedelta, more than 0, or None, not {value!r}"
        raise InvalidInputError("cleanup_interval", problem)
    return number


def checked_limit(value: object) -> int | None:
    """Return a number of sessions; None stays None.

    Raises:
        InvalidInputError: it is not a whole number, or below 1.
    """
    if value is None:
        return None
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 1 <= value <= _MOST_SESSIONS:  # type: ignore[operator] # just checked
        problem = f"must be a whole number, 1 or more, or None, not {value!r}"
        raise InvalidInputError("max_sessions", problem)
    return value  # type: ignore[return-value] # just checked


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and isfinite(value) else None  # type: ignore[arg-type]
