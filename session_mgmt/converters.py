"""Turn the value of a setting into what the app works with, or say what it must be.

Each function raises ConfigurationError with the rest of a sentence that begins with the setting.
"""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Final

from session_mgmt.exceptions import ConfigurationError

__all__ = [
    "CAPACITY_POLICIES",
    "dotted_path",
    "duration",
    "factor",
    "no_or_positive",
    "no_or_positive_duration",
    "policy",
    "positive",
    "positive_duration",
    "switch",
    "whole",
]

CAPACITY_POLICIES: Final = ("evict", "reject")


def duration(value: object) -> timedelta:
    """Return a duration of 0 or more."""
    return _at_least(timedelta(0), value, "0 or more")


def positive_duration(value: object) -> timedelta:
    """Return a duration of more than 0."""
    return _at_least(timedelta.resolution, value, "more than 0")


def no_or_positive_duration(value: object) -> timedelta | None:
    """Return None or a duration of more than 0."""
    return None if value is None else positive_duration(value)


def policy(value: object) -> str:
    """Return the name of a capacity policy."""
    if value not in CAPACITY_POLICIES:
        raise ConfigurationError(f"must be 'evict' or 'reject', not {value!r}")
    return str(value)


def no_or_positive(value: object) -> int | None:
    """Return None or a whole number of 1 or more."""
    return None if value is None else positive(value)


def whole(value: object) -> int:
    """Return a whole number of 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"must be a whole number, 0 or more, not {value!r}")
    return value


def positive(value: object) -> int:
    """Return a whole number of 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"must be a positive whole number, not {value!r}")
    return value


def factor(value: object) -> float:
    """Return a number of 1 or more."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value < inf:
        raise ConfigurationError(f"must be a number, 1 or more, not {value!r}")
    return value


def switch(value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"must be True or False, not {value!r}")
    return value


def dotted_path(value: object) -> str:
    """Return a dotted path; what it names is not looked at."""
    if not isinstance(value, str) or "." not in value:
        raise ConfigurationError(f"must be a dotted path, not {value!r}")
    return value


def _at_least(least: timedelta, value: object, wanted: str) -> timedelta:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError) as error:
            raise ConfigurationError(f"must be a duration: {error}") from None
    if not isinstance(value, timedelta) or value < least:
        raise ConfigurationError(f"must be a timedelta or seconds, {wanted}, not {value!r}")
    return value
