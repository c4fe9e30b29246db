"""What every model here shares: timestamps, soft delete (seed 004), ids, enum columns."""

from __future__ import annotations

import uuid
from enum import Enum
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["BaseModel", "BaseQuerySet", "StatusField", "new_id"]

M = TypeVar("M", bound="BaseModel")
# The set and get types of a field, in the order in which django-stubs has them.
_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True)

_uuid7: Callable[[], uuid.UUID] = getattr(uuid, "uuid7", uuid.uuid4)


def new_id() -> uuid.UUID:
    """Return a fresh id, time-ordered from Python 3.14 on, so that the index stays compact."""
    return _uuid7()


class BaseQuerySet(models.QuerySet[M]):
    """Tell soft-deleted rows from the others."""

    def active(self) -> Self:
        """Leave out the rows that were soft-deleted."""
        return self.filter(is_active=True)

    def inactive(self) -> Self:
        """Keep only the rows that were soft-deleted."""
        return self.filter(is_active=False)


class BaseModel(models.Model):
    """Give a model `is_active`, `created_at` and `updated_at`; `delete()` stays Django's."""

    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        abstract = True

    def soft_delete(self) -> None:
        """Hide the row from `active()`; one UPDATE, harmless twice."""
        self._set_active(is_active=False)

    def restore(self) -> None:
        """Undo `soft_delete`; one UPDATE, harmless twice."""
        self._set_active(is_active=True)

    def _set_active(self, *, is_active: bool) -> None:
        self.is_active = is_active
        self.save(update_fields=["is_active", "updated_at"])


class StatusField(models.CharField[_ST, _GT]):
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
