"""What every stateful class is made of: fields from its annotations, an identity, a session."""

from __future__ import annotations

import builtins
import re
import sys
from inspect import get_annotations
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from session_mgmt.exceptions import ConfigurationError
from session_mgmt.objects.fields import StateField
from session_mgmt.objects.loading import refresh
from session_mgmt.objects.record import Record
from session_mgmt.objects.state import StateSchema

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from session_mgmt.objects.classes import ClsMeta
    from session_mgmt.objects.metadata import ObjectMetadata
    from session_mgmt.objects.session import Session

__all__ = ["BaseObject"]

_NO_DEFAULT: Final = object()
_CLASS_VARIABLE: Final = re.compile(r"['\"]?(\w+\.)*ClassVar\b")
_TAKEN: Final = frozenset({"session"})  # set by __init__


class BaseObject:
    """An object whose annotated attributes are kept (seed 000).

    The names of attributes that begin with an underscore, and class variables, are not kept. It is
    made and loaded by a session only, and used by the thread or task of that session: other threads
    may use it too, and must take care of one another as with any Python object.
    """

    if TYPE_CHECKING:  # what is annotated at run time becomes a field
        __cls_meta__: ClassVar[ClsMeta]
        _schema: ClassVar[StateSchema]
    else:
        _schema = StateSchema("BaseObject", {}, {})

    def __init__(self, meta: ObjectMetadata, session: Session) -> None:
        self.session = session
        self._record = Record(meta, self._schema)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make fields of the annotations.

        Raises:
            ConfigurationError: a name is taken by this class, or a type cannot be stored.
        """
        super().__init_subclass__(**kwargs)
        hints = _fields_of(cls, sys._getframe(1))
        cls._schema = StateSchema(cls.__name__, hints, _defaults_of(cls, hints))
        for name in hints:
            setattr(cls, name, StateField(name, is_mutable=name in cls._schema.mutable))

    @property
    def meta(self) -> ObjectMetadata:
        """Class, partition and id."""
        return self._record.meta

    @property
    def object_id(self) -> int:
        """Its id in its class and partition."""
        return self._record.meta.object_id

    @property
    def partition_id(self) -> int:
        """The namespace of its id."""
        return self._record.meta.partition_id

    @property
    def is_stale(self) -> bool:
        """Whether somebody else has changed it, so that its own changes cannot be written."""
        return self._record.is_stale

    def delete(self) -> None:
        """Have it deleted by the next commit; a field cannot be assigned any more after that."""
        self.session._unit.delete(self)

    def refresh(self) -> None:
        """Read it again; what was changed and not committed is forgotten. One query.

        Raises:
            ObjectNotFoundError: it does not exist, or no longer.
        """
        refresh(self.session, [self])

    async def arefresh(self) -> None:
        """Do as `refresh`, from async code."""
        await self.session._in_thread(self.refresh)

    def __reduce_ex__(self, protocol: object) -> Any:
        """Refuse copies: two with one identity would overwrite each other's changes."""
        raise TypeError(f"{self!r} cannot be copied or pickled; pass its object_id and load it")

    def __repr__(self) -> str:
        return f"<{self._record.meta.cls_id} {self._record.meta.object_id}>"


def _fields_of(cls: type, frame: FrameType) -> dict[str, Any]:
    """Return the types of a class's fields, by name."""
    while frame.f_code.co_name == "__init_subclass__" and frame.f_back:  # a subclass has its own
        frame = frame.f_back
    fields: dict[str, Any] = {}
    for parent in cls.__mro__[::-1]:
        schema: StateSchema | None = parent.__dict__.get("_schema")
        known = schema.hints if schema else _annotated(cls, parent, frame)
        for name, hint in known.items():
            fields.pop(name, None)
            if hint is not ClassVar and get_origin(hint) is not ClassVar:
                fields[name] = hint
    types = _given_types(cls)
    for name, hint in fields.items():
        if name in _TAKEN or any(name in vars(one) for one in cls.__mro__ if _is_ours(one)):
            raise ConfigurationError(
                f"{cls.__name__}.{name} cannot be a field, because every object has something "
                "of that name; choose another one"
            )
        fields[name] = _specific(hint, types)
    return fields


def _annotated(cls: type, parent: type, frame: FrameType) -> dict[str, Any]:
    """Return what a class itself annotates."""
    names = {
        **vars(parent),
        **vars(builtins),  # a field may be called `dict`
        **vars(sys.modules.get(parent.__module__, builtins)),
        **{one.__name__: one for one in getattr(parent, "__type_params__", ())},
    }
    hints = {}
    name = ""
    try:
        for name, hint in get_annotations(parent).items():
            if name.startswith("_") or (isinstance(hint, str) and _CLASS_VARIABLE.match(hint)):
                hints[name] = ClassVar
                continue
            alone = type("Alone", (), {"__annotations__": {name: hint}})
            hints |= get_type_hints(alone, names, dict(frame.f_locals), include_extras=True)
    except (NameError, SyntaxError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{cls.__name__}.{name} cannot be a field: {error}; what its annotation names must be "
            "defined above the class"
        ) from None
    return hints


def _given_types(cls: type) -> dict[Any, Any]:  # Any: types, and variables for them
    """Return what a class puts for the type variables of its parents, `Box[int]`."""
    given: dict[Any, Any] = {}
    for base in getattr(cls, "__orig_bases__", ()):
        variables = getattr(get_origin(base), "__parameters__", ())
        given |= zip(variables, get_args(base), strict=False)
    return given


def _specific(hint: Any, types: dict[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return types.get(hint, hint)
    variables = getattr(hint, "__parameters__", ())
    if not any(variable in types for variable in variables):
        return hint
    return hint[tuple(types.get(variable, variable) for variable in variables)]


def _is_ours(parent: type) -> bool:
    return parent.__module__.startswith("session_mgmt.objects.")


def _defaults_of(cls: type[BaseObject], fields: Iterable[str]) -> dict[str, Any]:
    """Return the defaults of those fields that have one."""
    defaults = {}
    for name in fields:
        value = getattr(cls, name, _NO_DEFAULT)
        if isinstance(value, StateField):  # a parent's, which it has replaced by this
            parents = (parent for parent in cls.__mro__[1:] if name in parent.__dict__)
            value = next(parents)._schema.declared.get(name, _NO_DEFAULT)  # type: ignore[attr-defined] # it has a field
        if value is not _NO_DEFAULT:
            defaults[name] = value
    return defaults
