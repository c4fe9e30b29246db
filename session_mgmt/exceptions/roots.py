"""What every error of session_mgmt goes back to, and how messages show what was refused."""

from __future__ import annotations

from typing import Final
from uuid import UUID

__all__ = ["ConfigurationError", "InvalidInputError", "SessionManagerError", "named", "shown"]

_LONGEST_SHOWN: Final = 100


def shown(value: object) -> str:
    """Return a refused value as a message may show it: short, and whatever its `repr` does."""
    try:
        text = repr(value)
    except Exception:  # a number of 5,000 digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def named(value: object) -> str:
    """Return a name or an id as a message may show it: as it is where that is a plain word."""
    is_plain = isinstance(value, UUID) or (
        isinstance(value, str) and len(value) <= _LONGEST_SHOWN and value.isprintable()
    )
    return str(value) if is_plain else shown(value)


class SessionManagerError(Exception):
    """Catch this to catch all of them."""


class ConfigurationError(SessionManagerError):
    """Say which setting is wrong and how to mend it."""


class InvalidInputError(SessionManagerError, ValueError):
    """Name the field whose value was refused; nothing has been written.

    Attributes:
        field: name of the refused field, as the caller knows it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
