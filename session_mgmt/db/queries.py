"""A QuerySet that also speaks as the seeds' sessions do: `session.query(User).filter_by(id=1)`."""

from __future__ import annotations

from functools import cache
from typing import Any, Self, TypeVar, cast

from django.db import models
from django.db.models.constants import LOOKUP_SEP

from session_mgmt.exceptions import InvalidInputError

__all__ = ["SessionQuerySet", "query_on"]

M = TypeVar("M", bound=models.Model)


class SessionQuerySet(models.QuerySet[M]):
    """The model's own QuerySet with `filter_by` added."""

    def filter_by(self, **equal: object) -> Self:
        """Keep the rows whose columns have these values; lookups and relations are refused.

        Raises:
            InvalidInputError: a name is a lookup and not a column; use `filter` for it.
        """
        for name in equal:
            if LOOKUP_SEP in name:
                raise InvalidInputError(name, "filter_by compares columns; use filter for lookups")
        return self.filter(**equal)


def query_on(model: type[M], using: str) -> SessionQuerySet[M]:
    """Return the model's rows on a database, as its default manager selects them."""
    rows = model._default_manager.using(using).all()
    rows.__class__ = _with_filter_by(type(rows))  # it keeps what the manager has prepared
    return cast(SessionQuerySet[M], rows)


@cache
def _with_filter_by(query_set: type[models.QuerySet[Any]]) -> type[models.QuerySet[Any]]:
    return type(f"Session{query_set.__name__}", (SessionQuerySet, query_set), {})
