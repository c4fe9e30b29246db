"""Turn the annotations of a class into typed fields, and their values into JSON and back.

A field takes a value only if that very value, of the same type, comes back from the database. Where
the type alone does not tell, the value is read back from its JSON and compared.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreConfig, SchemaError, SchemaSerializer, SchemaValidator
from typing_extensions import TypedDict

from session_mgmt.exceptions import ConfigurationError, InvalidInputError, StateTypeError
from session_mgmt.objects.fields import SIMPLE, check_same, is_immutable, is_plain, simple_types
from session_mgmt.validation import checked_json_text

__all__ = ["StateSchema", "Values"]

# Any: a class declares the types of its fields, and pydantic checks them.
Values = dict[str, Any]

_WRONG: Final = (PydanticUserError, SchemaError, TypeError, ValueError, NameError)
# What validators are made with does not reach into a TypedDict, what serializers are does.
_READING: Final = ConfigDict(extra="allow", val_json_bytes="base64", allow_inf_nan=False)
_WRITING: Final = CoreConfig(ser_json_bytes="base64", ser_json_inf_nan="constants")
_EXPONENT: Final = re.compile(r"e\+?\d\d")  # fast, and often enough there is none
_LARGE_FLOAT: Final = re.compile(r"[\[:,]-?\d[\d.]*e\+?\d")
_TEXT_OR_LARGE_FLOAT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.]*e\+?\d+')


class StateSchema:
    """The fields of one class.

    Attributes:
        owner: name of the class.
        hints: the type of each field, with its rules.
        declared: the default of each field that has one, or a `FieldInfo` that makes it.
        mutable: the fields whose values can change inside, without an assignment.
    """

    def __init__(self, owner: str, hints: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
        self.owner = owner
        self.hints: dict[str, Any] = {}
        self.declared: dict[str, Any] = {}
        for name, hint in hints.items():
            self._add(name, hint, declared)
        self.mutable = frozenset(name for name, one in self.hints.items() if not is_immutable(one))
        self._simple = {name: simple_types(hint) for name, hint in self.hints.items()}
        self._doubtful = frozenset(name for name, one in self.hints.items() if not is_plain(one))
        self._doubtful_inside = self._doubtful & self.mutable
        self._validator, self._serializer = self._compiled(self.hints)
        for name, value in self.declared.items():
            if not isinstance(value, FieldInfo):
                self.declared[name] = self._checked_default(name, value)

    def new(self) -> Values:
        """Return the values of a new object: the defaults, copied where they can change."""
        return {name: self._default(name) for name in self.declared}

    def checked(self, name: str, value: object) -> Any:
        """Return the value as the field holds it; what can change inside is a copy.

        Raises:
            StateTypeError: the field cannot have it, or it could not be stored.
        """
        kind = type(value)
        if kind in self._simple[name] and SIMPLE[kind](value):
            return value
        try:
            given = self._validator.validate_python({name: value}, strict=True)
        except ValidationError as error:
            raise StateTypeError(self.owner, name, _first_of(error)) from None
        _, stored = self._written(given, self._doubtful)
        return stored[name] if name in self.mutable else given[name]

    def load(self, text: str) -> Values:
        """Return the values that a row holds, with the defaults of fields that came later.

        What belonged to fields that the class no longer has is kept, as plain JSON values.

        Raises:
            StateTypeError: the row was written when the field had another type.
        """
        try:
            stored: Values = self._validator.validate_json(text, strict=False)
        except ValidationError as error:
            field = str((*error.errors()[0]["loc"], "state")[0])
            problem = f"the stored value does not fit: {_first_of(error)}"
            raise StateTypeError(
                self.owner, field, f"{problem}; change the row or the type"
            ) from None
        for name in self.declared:
            if name not in stored:
                stored[name] = self._default(name)
        return stored

    def dump(self, values: Values) -> str:
        """Return the values as JSON.

        Raises:
            StateTypeError: a value was changed inside to something that its type does not allow, or
                cannot be stored.
        """
        return self._written(values, self._doubtful_inside)[0]

    def _written(self, values: Values, doubtful: frozenset[str]) -> tuple[str, Values]:
        """Return the JSON of the values, and these; those in doubt as they come back from it."""
        try:
            text = self._serializer.to_json(values, warnings="error").decode()
            if _EXPONENT.search(text) and _LARGE_FLOAT.search(text):
                text = _TEXT_OR_LARGE_FLOAT.sub(_spelled_out, text)
            checked_json_text("state", text)
            if "null" in text:  # pydantic writes a None also where it must not be
                doubtful |= self.mutable
            if doubtful.isdisjoint(values):
                return text, values
            stored: Values = self._validator.validate_json(text, strict=False)
            for name in doubtful.intersection(values):
                check_same(values[name], stored[name])
        except (ValueError, RecursionError) as error:  # pydantic's are ValueErrors
            if len(values) > 1:
                for name, value in values.items():
                    self._written({name: value}, doubtful)  # the culprit raises with its name
            name = next(iter(values)) if len(values) == 1 else "state"
            raise StateTypeError(self.owner, name, _why(error)) from None
        return text, stored

    def _default(self, name: str) -> object:
        value = self.declared[name]
        if isinstance(value, FieldInfo):
            return self.checked(name, value.get_default(call_default_factory=True))
        return copy.deepcopy(value) if name in self.mutable else value

    def _checked_default(self, name: str, value: object) -> object:
        try:
            return self.checked(name, value)
        except StateTypeError as error:
            raise ConfigurationError(f"The default of {error}") from None

    def _add(self, name: str, hint: Any, declared: Mapping[str, Any]) -> None:
        """Take over what `pydantic.Field` says in the annotation, as the default, or in both."""
        try:
            info = (
                FieldInfo.from_annotated_attribute(hint, declared[name])
                if name in declared
                else FieldInfo.from_annotation(hint)
            )
        except _WRONG as error:
            raise self._no_field(name, error) from None
        rules = info.metadata
        if info.discriminator is not None:
            rules = [*rules, Field(discriminator=info.discriminator)]
        if (alias := info.validation_alias) is not None:  # what the field was called before
            others = alias.choices if isinstance(alias, AliasChoices) else [alias]
            rules = [*rules, Field(validation_alias=AliasChoices(name, *others))]
        self.hints[name] = Annotated[(info.annotation, *rules)] if rules else info.annotation
        if info.default_factory is not None:
            self.declared[name] = Field(default_factory=info.default_factory)
        elif not info.is_required():
            self.declared[name] = info.default

    def _compiled(self, hints: Mapping[str, Any]) -> tuple[SchemaValidator, SchemaSerializer]:
        made: Any = TypedDict  # for a type checker it takes names that are written out only
        fields = made("State", dict(hints), total=False)
        fields.__pydantic_config__ = _READING
        try:
            schema = TypeAdapter(fields).core_schema
            return SchemaValidator(schema), SchemaSerializer(schema, _WRITING)
        except _WRONG as error:
            if len(hints) > 1:
                for name, hint in hints.items():
                    self._compiled({name: hint})  # the culprit raises with its name
            raise self._no_field(next(iter(hints), ""), error) from None

    def _no_field(self, name: str, error: Exception) -> ConfigurationError:
        reason = str(error).splitlines()[0].split(". Set ")[0]
        return ConfigurationError(f"{self.owner}.{name} cannot be a field: {reason}")


def _spelled_out(found: re.Match[str]) -> str:
    """Return 1e+22 with all its digits: PostgreSQL's jsonb would make an integer of it."""
    text = found.group()
    if text[0] == '"':
        return text
    digits = f"{Decimal(text):f}"
    return digits if "." in digits else f"{digits}.0"


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    inside = ".".join(map(str, first["loc"][1:]))
    given = f", not {type(first['input']).__name__}" if first["type"].endswith("_type") else ""
    return f"{inside}: {first['msg']}{given}" if inside else f"{first['msg']}{given}"


def _why(error: Exception) -> str:
    if isinstance(error, InvalidInputError):
        return str(error).removeprefix(f"{error.field}: ")
    if isinstance(error, ValidationError):
        return f"could not be read back: {_first_of(error)}"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"cannot be stored: {lines[-1].strip() if lines else type(error).__name__}"
