"""Turn the annotations of a class into typed fields, and their values into JSON and back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import (
    CoreConfig,
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
)
from typing_extensions import TypedDict

from session_mgmt.exceptions import ConfigurationError, InvalidInputError, StateTypeError
from session_mgmt.validation import checked_json_text

__all__ = ["StateSchema", "Values"]

# Any: a class declares the types of its fields, and pydantic checks them.
Values = dict[str, Any]

_IMMUTABLE: Final = (
    *(int, float, complex, bool, str, bytes, NoneType, Enum, UUID, Decimal),
    *(date, datetime, time, timedelta),
)
_ALWAYS_STORABLE: Final = frozenset({bool, float, NoneType, datetime, UUID})
_CONFIG: Final = CoreConfig(
    ser_json_bytes="base64",
    val_json_bytes="base64",
    allow_inf_nan=False,
    ser_json_inf_nan="constants",
)


class StateSchema:
    """The fields of one class.

    Attributes:
        owner: name of the class.
        hints: the type of each field.
        defaults: the values that new objects have, of those fields that have a default.
        mutable: the fields whose values can change inside, without an assignment.
    """

    def __init__(self, owner: str, hints: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self.owner = owner
        hints = {name: _with_field_info(hint, defaults.get(name)) for name, hint in hints.items()}
        self.hints = hints
        self.mutable = frozenset(name for name, hint in hints.items() if not _is_immutable(hint))
        self._validator, self._serializer = self._compiled(hints)
        self._needs_proof = any(map(_has_own_rules, hints.values()))
        self.defaults = {
            name: self._default(name, value)
            for name, value in defaults.items()
            if not (isinstance(value, FieldInfo) and value.is_required())
        }

    def new(self) -> Values:
        """Return the values of a new object: the defaults, copied where they can change."""
        return {name: self._copied(name, value) for name, value in self.defaults.items()}

    def checked(self, name: str, value: object) -> Any:
        """Return the value as the field holds it.

        Raises:
            StateTypeError: the field cannot have it, or it could not be stored.
        """
        try:
            checked = self._validator.validate_python({name: value}, strict=True)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]["msg"]
            given = type(value).__name__
            raise StateTypeError(self.owner, name, f"{problem}, not {given}") from None
        if name in self.mutable or type(value) not in _ALWAYS_STORABLE:
            self.dump(checked)
        return checked[name]

    def load(self, text: str) -> Values:
        """Return the values that a row holds, with the defaults of fields that came later.

        What belonged to fields that the class no longer has is kept, as plain JSON values.

        Raises:
            StateTypeError: the row was written when the field had another type.
        """
        try:
            stored: Values = self._validator.validate_json(text, strict=False)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise StateTypeError(
                self.owner,
                ".".join(map(str, first["loc"])),
                f"the stored value does not fit: {first['msg']}; change the row or the type",
            ) from None
        for name, default in self.defaults.items():
            if name not in stored:
                stored[name] = self._copied(name, default)
        return stored

    def dump(self, values: Values) -> str:
        """Return the values as JSON.

        Raises:
            StateTypeError: a value was changed inside to something that its type does not allow, or
                cannot be stored.
        """
        try:
            text = self._serializer.to_json(values, warnings="error").decode()
            checked_json_text("state", text)
            if self._needs_proof:
                self._validator.validate_json(text, strict=False)
        except (PydanticSerializationError, ValidationError, ValueError, RecursionError) as error:
            if len(values) > 1:
                for name, value in values.items():
                    self.dump({name: value})  # the culprit raises with its name
            raise StateTypeError(self.owner, next(iter(values), "state"), _why(error)) from None
        return text

    def _copied(self, name: str, value: object) -> object:
        return copy.deepcopy(value) if name in self.mutable else value

    def _default(self, name: str, value: object) -> object:
        if isinstance(value, FieldInfo):
            value = value.get_default(call_default_factory=True)
        try:
            return self.checked(name, value)
        except StateTypeError as error:
            raise ConfigurationError(f"The default of {error}") from None

    def _compiled(self, hints: Mapping[str, Any]) -> tuple[SchemaValidator, SchemaSerializer]:
        made: Any = TypedDict  # for a type checker it takes names that are written out only
        fields = made("State", dict(hints), total=False)
        fields.__pydantic_config__ = ConfigDict(extra="allow")
        try:
            schema = TypeAdapter(fields).core_schema
        except (PydanticUserError, TypeError) as error:
            if len(hints) > 1:
                for name, hint in hints.items():
                    self._compiled({name: hint})  # the culprit raises with its name
            name = next(iter(hints), "")
            reason = str(error).splitlines()[0]
            raise ConfigurationError(f"{self.owner}.{name} cannot be a field: {reason}") from None
        return SchemaValidator(schema, _CONFIG), SchemaSerializer(schema, _CONFIG)


def _why(error: Exception) -> str:
    if isinstance(error, InvalidInputError):
        return str(error).removeprefix(f"{error.field}: ")
    if isinstance(error, ValidationError):
        return f"could not be read back: {error.errors(include_input=False)[0]['msg']}"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"cannot be stored: {lines[-1].strip() if lines else type(error).__name__}"


def _with_field_info(hint: Any, default: object) -> Any:
    if isinstance(default, FieldInfo) and default.metadata:
        return Annotated[(hint, *default.metadata)]
    return hint


def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return get_origin(hint) or hint, get_args(hint)


def _is_immutable(hint: Any) -> bool:
    """Tell whether no value of the type can change inside; not always known, and then not so."""
    origin, arguments = _parts(hint)
    if origin is Literal:
        return True
    if origin in {Union, UnionType, tuple, frozenset}:
        return all(_is_immutable(one) for one in arguments if one is not Ellipsis)
    return isinstance(origin, type) and issubclass(origin, _IMMUTABLE)


def _has_own_rules(hint: Any) -> bool:
    """Tell whether the type may write JSON that it does not read, as a nested model can."""
    origin, arguments = _parts(hint)
    if origin is Literal:
        return False
    is_plain = origin in {Any, list, dict, set, frozenset, tuple, Union, UnionType, ...}
    if isinstance(origin, type) and issubclass(origin, _IMMUTABLE):
        is_plain = True
    is_model = isinstance(origin, type) and issubclass(origin, BaseModel)
    return is_model or not is_plain or any(map(_has_own_rules, arguments))
