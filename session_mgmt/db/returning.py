"""Run one write statement and get the rows it touched back as model instances.

Django's `update()` tells only how many rows it changed; a claim, or a counter that is handed out,
needs the rows themselves from the same statement, so that nobody can come between.
PostgreSQL and SQLite 3.35 and later both know RETURNING.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models.sql.subqueries import UpdateQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.db.models.expressions import Col

__all__ = [
    "columns_of",
    "compiled_update",
    "execute_returning",
    "instances",
    "update_returning",
]

M = TypeVar("M", bound=models.Model)

_SHAPES: Final = "_session_mgmt_shapes"


def update_returning(rows: models.QuerySet[M], **values: Any) -> list[M]:  # Any: as QuerySet.update
    """Update the rows of a QuerySet in one statement and return them as they are afterwards.

    The predicate is evaluated under each row's lock, as with `update()`.

    Args:
        rows: what to update; it must not be sliced or joined.
        values: column values or expressions, as for `update()`.
    """
    # As `update()` does: with a router, writes go to the database that takes them.
    rows._for_write = True  # type: ignore[attr-defined] # the stubs leave it out
    try:
        sql, params = compiled_update(rows, **values)
    except EmptyResultSet:
        return []
    return execute_returning(rows.model, rows.db, sql, params)


def compiled_update(
    rows: models.QuerySet[M],
    **values: Any,  # Any: as QuerySet.update
) -> tuple[str, tuple[Any, ...]]:  # Any: what drivers take
    """Return the UPDATE that `QuerySet.update` would execute, and its parameters.

    Raises:
        EmptyResultSet: no row can match.
    """
    query = cast(UpdateQuery, rows.query.chain(UpdateQuery))
    query.add_update_values(values)
    query.clear_ordering(force=True)
    sql, params = query.get_compiler(using=rows.db).as_sql()
    return sql, tuple(params)


def execute_returning(
    model: type[M],
    using: str,
    sql: str,
    params: Sequence[Any],  # Any: what drivers take
) -> list[M]:
    """Execute `sql`, which must not end in a RETURNING clause, and return what it wrote.

    Args:
        model: whose table `sql` writes; every concrete column is returned.
        using: database alias.
        sql: an INSERT, UPDATE or DELETE with placeholders.
        params: values in the form that the driver takes.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {columns_of(model, using)}", params)
        rows = cursor.fetchall()
    return instances(model, using, rows)


def columns_of(model: type[models.Model], using: str) -> str:
    """Return the names of all columns, in the order in which `instances` wants the values."""
    return _shape(model, using).columns


def instances(
    model: type[M],
    using: str,
    rows: Iterable[Sequence[Any]],  # Any: what drivers give
) -> list[M]:
    """Return the model's instances that rows of `columns_of` stand for."""
    shape = _shape(model, using)
    connection = connections[using]
    found = []
    for row in rows:
        values = list(row)
        for position, convert, column in shape.conversions:
            values[position] = convert(values[position], column, connection)
        found.append(model.from_db(using, shape.names, values))
    return found


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the rows of a model look on one kind of database."""

    columns: str
    names: list[str]
    conversions: list[tuple[int, Callable[..., object], Col]]


def _shape(model: type[models.Model], using: str) -> _Shape:
    # Working it out takes longer than a small statement, and it is the same every time. It is kept
    # with the connection, as the conversions are methods that know their connection's time zone.
    connection = connections[using]
    shapes: dict[type[models.Model], _Shape] = connection.__dict__.setdefault(_SHAPES, {})
    if (known := shapes.get(model)) is not None:
        return known
    fields = model._meta.concrete_fields
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    expressions = [field.get_col(model._meta.db_table) for field in fields]
    shape = shapes[model] = _Shape(
        ", ".join(f"{table}.{quote(str(field.column))}" for field in fields),
        [field.attname for field in fields],
        [
            (position, convert, column)
            for position, column in enumerate(expressions)
            for convert in (
                *connection.ops.get_db_converters(column),
                *column.get_db_converters(connection),
            )
        ],
    )
    return shape
