"""Let the attributes of an object be its state: checked when assigned, noticed when changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

if TYPE_CHECKING:
    from session_mgmt.objects.base import BaseObject

__all__ = ["StateField"]


class StateField:
    """The attribute that an annotation of a class becomes."""

    __slots__ = ("is_mutable", "name")

    def __init__(self, name: str, *, is_mutable: bool) -> None:
        self.name = name
        self.is_mutable = is_mutable

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: BaseObject, owner: type) -> Any: ...  # Any: the class declares it
    def __get__(self, obj: BaseObject | None, owner: type) -> Any:
        """Return the value; one that can change inside is compared at the next commit."""
        if obj is None:
            return self
        if self.is_mutable:
            obj.session._unit.watch(obj)
        try:
            return obj._record.state[self.name]
        except KeyError:
            raise AttributeError(
                f"{owner.__name__}.{self.name} has no value yet; assign one, or give it a default"
            ) from None

    def __set__(self, obj: BaseObject, value: object) -> None:
        """Set the value.

        Raises:
            StateTypeError: the field cannot have it; it is unchanged.
            StaleObjectError: somebody else has changed the object; `refresh()` it first.
            ObjectNotFoundError: the object was deleted.
        """
        checked = obj._record.schema.checked(self.name, value)
        obj.session._unit.change(obj, self.name, checked)

    def __delete__(self, obj: BaseObject) -> None:
        """Refuse: a field has a value, or its default."""
        raise AttributeError(f"{self.name} is a part of the object's state; assign another value")
