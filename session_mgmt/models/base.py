"""What every model here shares: timestamps, soft delete (seed 004), ids."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BaseModel", "BaseQuerySet", "new_id"]

M = TypeVar("M", bound="BaseModel")

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
