"""Check the numbers that a manager is configured with."""

from __future__ import annotations

from datetime import timedelta
from math import isfinite
from typing import Final

from session_mgmt.exceptions import InvalidInputError, shown

__all__ = ["checked_hours", "checked_interval", "checked_limit", "checked_wait"]

_MOST_SESSIONS: Final = 2_147_483_647
_LONGEST_WAIT: Final = 2_000_000.0


def checked_hours(name: str, value: object) -> timedelta:
    """Return so many hours.

    Raises:
        InvalidInputError: it is not a number of hours, 0 or more.
    """
    number = _number(value)
    if number is None or number < 0:
        raise InvalidInputError(name, f"must be a number of hours, 0 or more, not {shown(value)}")
    try:
        return timedelta(hours=number)
    except OverflowError:
        raise InvalidInputError(name, f"is too long: {shown(value)} hours") from None


def checked_interval(value: object) -> float | None:
    """Return seconds, from seconds or a timedelta; None stays None.

    Raises:
        InvalidInputError: it is neither, or not more than 0.
    """
    if value is None:
        return None
    number = value.total_seconds() if isinstance(value, timedelta) else _number(value)
    if number is None or number <= 0:
        problem = f"must be seconds or a timedelta, more than 0, or None, not {shown(value)}"
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
        problem = f"must be a whole number, 1 or more, or None, not {shown(value)}"
        raise InvalidInputError("max_sessions", problem)
    return value  # type: ignore[return-value] # just checked


def checked_wait(name: str, value: object) -> float:
    """Return seconds to wait, at most so many that every clock and database takes them.

    Raises:
        InvalidInputError: it is not a number of seconds, 0 or more.
    """
    number = _number(value)
    if number is None or not 0 <= number <= _LONGEST_WAIT:
        raise InvalidInputError(name, f"must be seconds, 0 to 2,000,000, not {shown(value)}")
    return number


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:
        return None
