"""Keep what an object was like, and tell whether parts of it are in other hands."""

from __future__ import annotations

import sys
from types import NoneType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.objects.state import Values

__all__ = ["Image", "is_held"]

_NEVER_CHANGE: Final = frozenset({NoneType, bool, int, float, str, bytes, tuple, frozenset})


class Image(NamedTuple):
    """What a record was like at a moment: to go back to, or to write while it changes on.

    Attributes:
        state: the fields, as JSON or as a copy.
        saved: the state as it was stored, as JSON.
        is_dirty: as in `Record`, and so are the others.
        readings: how often the record had been read from the database.
    """

    state: str | Values
    saved: str
    is_dirty: bool
    is_deleted: bool
    is_gone: bool
    changes: int
    version: int
    seen: int
    issued: int
    readings: int


def is_held(state: Values, names: Iterable[str]) -> bool:
    """Tell whether somebody holds one of these values, and may change it inside at any time."""
    return _most_holders(state, names) > _OURS


def _most_holders(state: Values, names: Iterable[str]) -> int:
    """Return how many references there are to the value that has most of them."""
    values = [state[name] for name in names if name in state]
    counts = [sys.getrefcount(one) for one in values if type(one) not in _NEVER_CHANGE]
    return max(counts, default=0)


_OURS: Final = _most_holders({"": []}, ("",))  # of a value that only the state holds
