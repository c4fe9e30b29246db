"""Columns whose values come back typed: a status as its enum, a request as itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models

from session_mgmt.schemas import GenerationRequest

if TYPE_CHECKING:
    from enum import Enum

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Expression

__all__ = ["RequestField", "StatusField"]

# The set and get types of a field, in the order in which django-stubs has them.
_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True)

# Django's own fields take type arguments for a type checker only, not at run time.
if TYPE_CHECKING:
    _CharField = models.CharField
    _RequestColumn = models.JSONField[GenerationRequest, GenerationRequest]
else:

    class _CharField(models.CharField):
        def __class_getitem__(cls, _: object) -> type:
            return cls

    _RequestColumn = models.JSONField


class StatusField(_CharField[_ST, _GT]):
    """A text column whose value is a member of an enum as soon as it comes from the database."""

    def __init__(self, enum: type[Enum] | None = None, **kwargs: Any) -> None:  # Any: as CharField
        self.enum = enum
        if enum is not None:
            kwargs.setdefault("choices", enum.choices)  # type: ignore[attr-defined] # a TextChoices
        kwargs.setdefault("max_length", 20)
        super().__init__(**kwargs)

    def from_db_value(
        self, value: str | None, expression: object, connection: BaseDatabaseWrapper
    ) -> Enum | str | None:
        """Turn the stored text into the enum's member."""
        return self.enum(value) if self.enum is not None and value is not None else value


class RequestField(_RequestColumn):
    """Store a `GenerationRequest` as JSON and give it back typed."""

    def from_db_value(
        self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper
    ) -> GenerationRequest | None:
        """Build the request from the stored JSON."""
        stored: dict[str, Any] | None = super().from_db_value(value, expression, connection)
        return None if stored is None else GenerationRequest.from_stored(stored)

    def validate(self, value: object, model_instance: models.Model | None) -> None:
        """Check what would be stored."""
        super().validate(self.get_prep_value(value), model_instance)

    def get_prep_value(self, value: object) -> object:
        """Turn a request into plain JSON values."""
        if isinstance(value, GenerationRequest):
            value = value.model_dump(mode="json")
        return super().get_prep_value(value)
