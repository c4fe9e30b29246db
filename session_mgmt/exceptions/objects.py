"""Errors of stored objects: not there, changed by somebody else, a wrong value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_mgmt.exceptions.roots import SessionManagerError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ObjectNotFoundError", "StaleObjectError", "StateTypeError"]


class ObjectNotFoundError(SessionManagerError, LookupError):
    """There is no such object, or no longer.

    Attributes:
        class_name: package and name of its class.
        object_id: the id that was looked for.
        partition_id: the partition in which it was looked for.
    """

    def __init__(self, class_name: str, object_id: int, partition_id: int = 0) -> None:
        super().__init__(f"{class_name} {object_id} does not exist in partition {partition_id}")
        self.class_name = class_name
        self.object_id = object_id
        self.partition_id = partition_id


class StaleObjectError(SessionManagerError):
    """The objects are not what is stored any more; nothing of them is written.

    Somebody else has changed, created or deleted them meanwhile, or they were written in a
    transaction that was rolled back. Load or `refresh()` them and do it again, or have the method
    repeated by `retry_on_conflict`.

    Attributes:
        objects: class name and id of each of them.
    """

    def __init__(self, objects: Sequence[tuple[str, int]]) -> None:
        first = ", ".join(f"{class_name} {object_id}" for class_name, object_id in objects[:3])
        more = f" and {len(objects) - 3} more" if len(objects) > 3 else ""
        super().__init__(
            f"{first}{more}: changed by somebody else, or rolled back, meanwhile; "
            "refresh and try again"
        )
        self.objects = tuple(objects)


class StateTypeError(SessionManagerError, TypeError):
    """A field of an object was given a value that it cannot have; the field is unchanged.

    Attributes:
        class_name: name of the object's class.
        field: name of the field.
    """

    def __init__(self, class_name: str, field: str, problem: str) -> None:
        super().__init__(f"{class_name}.{field}: {problem}")
        self.class_name = class_name
        self.field = field
