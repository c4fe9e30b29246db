"""A JSON column that holds a `GenerationRequest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from session_mgmt.schemas import GenerationRequest

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Expression

__all__ = ["RequestField"]


class RequestField(models.JSONField[GenerationRequest, GenerationRequest]):
    """Store a `GenerationRequest` as JSON and give it back typed."""

    def from_db_value(
        self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper
    ) -> GenerationRequest | None:
        """Build the request from the stored JSON."""
        stored: dict[str, Any] | None = super().from_db_value(value, expression, connection)
        return None if stored is None else GenerationRequest.from_stored(stored)

    def get_prep_value(self, value: object) -> object:
        """Turn a request into plain JSON values."""
        if isinstance(value, GenerationRequest):
            value = value.model_dump(mode="json")
        return super().get_prep_value(value)
