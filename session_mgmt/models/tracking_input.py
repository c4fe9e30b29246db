"""Check what a tracker is given before anything is counted."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import SynchronousOnlyOperation

from session_mgmt.conf import get_settings
from session_mgmt.exceptions import InvalidInputError
from session_mgmt.validation import checked_text

__all__ = ["MOST_STEPS", "checked_count", "checked_description", "checked_total", "length_of"]

MOST_STEPS: Final = 2_147_483_647  # what the columns hold


def checked_count(field: str, value: object) -> int:
    """Return a number of steps.

    Raises:
        InvalidInputError: it is not a whole number, or less than 0.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidInputError(field, f"must be a whole number, 0 or more, not {value!r}")
    return value


def checked_total(value: object) -> int:
    """Return a total that can be stored.

    Raises:
        InvalidInputError: it is not a whole number, less than 0, or too large.
    """
    total = checked_count("total", value)
    if total > MOST_STEPS:
        raise InvalidInputError("total", f"is {total:,}; the limit is {MOST_STEPS:,}")
    return total


def checked_description(value: object) -> str:
    """Return a description that can be stored.

    Raises:
        InvalidInputError: it is not a text, too long, or cannot be stored.
    """
    if not isinstance(value, str):
        raise InvalidInputError("description", f"must be a text, not {type(value).__name__}")
    return checked_text("description", value, get_settings().MAX_DESCRIPTION_LENGTH)


def length_of(items: object) -> int:
    """Return the number of items; 0 where it is not known, or is more than can be stored.

    A QuerySet is read for it, as iterating would read it; in an event loop its length is unknown.
    """
    try:
        length = len(items)  # type: ignore[arg-type] # that is the question
    except (TypeError, OverflowError, SynchronousOnlyOperation):
        return 0
    return length if length <= MOST_STEPS else 0
