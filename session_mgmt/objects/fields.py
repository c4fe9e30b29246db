"""Let the attributes of an object be its state: checked when assigned, noticed when changed.

And know of each type whether its values can change inside, and whether JSON keeps them as they are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    Self,
    Union,
    get_args,
    get_origin,
    overload,
)
from uuid import UUID

from pydantic import BaseModel

from session_mgmt.exceptions import InvalidInputError

if TYPE_CHECKING:
    from session_mgmt.objects.base import BaseObject

__all__ = ["SIMPLE", "StateField", "check_same", "is_immutable", "is_plain", "simple_types"]

_IMMUTABLE: Final = (
    *(int, float, complex, bool, str, bytes, NoneType, Enum, UUID, Decimal),
    *(date, datetime, time, timedelta),
)
# Values of which each type has JSON of its own, and when one of them needs no further look.
SIMPLE: Final[Mapping[type, Callable[[Any], bool]]] = {
    bool: lambda _: True,
    NoneType: lambda _: True,
    int: lambda value: -(2**63) <= value < 2**63,
    float: math.isfinite,
    str: lambda value: len(value) <= 1_000 and value.isprintable(),  # no surrogates, no NUL
}
_FAITHFUL: Final = frozenset({*SIMPLE, bytes, UUID, date})


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
        try:
            value = obj._record.state[self.name]
        except KeyError:
            raise AttributeError(
                f"{owner.__name__}.{self.name} has no value yet; assign one, or give it a default"
            ) from None
        if self.is_mutable:
            obj.session._unit.watch(obj)  # it sees that the value is in use by now
        return value

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


def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    origin = get_origin(hint)
    return (Union if origin is UnionType else origin or hint), get_args(hint)


def is_immutable(hint: Any) -> bool:
    """Tell whether no value of the type can change inside; not always known, and then not so."""
    origin, inside = _parts(hint)
    if origin in {Union, tuple, frozenset} and inside:
        return all(is_immutable(one) for one in inside if one is not Ellipsis)
    return origin is Literal or (isinstance(origin, type) and issubclass(origin, _IMMUTABLE))


def simple_types(hint: Any) -> frozenset[type]:
    """Return the types of simple values that a field takes as they are, without more rules."""
    types = frozenset(get_args(hint) if _parts(hint)[0] is Union else [hint])
    is_free = get_origin(hint) is not Annotated and types <= SIMPLE.keys()
    return types if is_free else frozenset()


def is_plain(hint: Any) -> bool:
    """Tell whether each value of the type comes back from its JSON as it was.

    Not so of a dict: None, True and half of a surrogate pair become other keys.
    """
    if get_origin(hint) is Annotated:
        return False
    origin, inside = _parts(hint)
    if origin is Union:
        return bool(simple_types(hint)) or (
            len(inside) == 2 and NoneType in inside and all(map(is_plain, inside))
        )
    if origin in {list, set, frozenset, tuple} and inside:
        return all(is_plain(one) for one in inside if one is not Ellipsis)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return all(type(one.value) in {int, str} for one in hint)
    return hint in _FAITHFUL


def check_same(given: Any, stored: Any) -> None:
    """Refuse a value that comes back from its JSON as another one.

    Raises:
        InvalidInputError: saying what it holds.
    """
    kind = type(given)
    if kind is not type(stored):
        kinds = f"{kind.__name__}, which would come back as {type(stored).__name__}"
        raise InvalidInputError("", f"holds a value of type {kinds}")
    if kind in SIMPLE and given == stored:
        return
    for one, other in _inside(given, stored):
        check_same(one, other)


def _inside(given: Any, stored: Any) -> Iterable[tuple[Any, Any]]:
    """Return the parts of two values of one type, side by side; none if they are equal."""
    if isinstance(given, list | tuple) and len(given) == len(stored):
        return zip(given, stored, strict=True)
    if isinstance(given, dict) and given.keys() == stored.keys():
        return ((value, stored[key]) for key, value in given.items())
    if isinstance(given, BaseModel):
        names = [*type(given).model_fields, "model_extra"]
        return ((getattr(given, name), getattr(stored, name)) for name in names)
    if dataclasses.is_dataclass(given):
        names = [field.name for field in dataclasses.fields(given)]
        return ((getattr(given, name), getattr(stored, name)) for name in names)
    if isinstance(given, datetime):  # == says no to any other zone where the clock is put back
        return [(given.isoformat(), stored.isoformat())]
    if given != stored:
        kind = type(given).__name__
        raise InvalidInputError("", f"holds a value of type {kind} that would come back changed")
    return []
