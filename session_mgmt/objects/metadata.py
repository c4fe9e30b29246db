"""Name an object: its class, its partition and its number."""

from __future__ import annotations

from typing import NamedTuple

from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.objects.ids import MAX_ID, MIN_ID

__all__ = ["ObjectMetadata", "checked_id"]


class ObjectMetadata(NamedTuple):
    """What tells an object from all others.

    Attributes:
        cls_id: package and name of its class, "default.Counter".
        partition_id: the namespace of its id.
        object_id: 64 bits with a sign.
    """

    cls_id: str
    partition_id: int
    object_id: int


def checked_id(field: str, value: object) -> int:
    """Return an id that the table can hold.

    Raises:
        InvalidInputError: it is no integer of 64 bits.
    """
    if type(value) is not int or not MIN_ID <= value <= MAX_ID:
        raise InvalidInputError(field, f"must be an integer of 64 bits, not {shown(value)}")
    return value
