"""Run one write statement and get the rows it touched back as model instances.

Django's `update()` tells only how many rows it changed; a claim, or a counter that is handed out,
needs the rows themselves from the same statement, so that nobody can come between.
PostgreSQL and SQLite 3.35 and later both know RETURNING.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models.sql.subqueries import UpdateQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["execute_returning", "update_returning"]

M = TypeVar("M", bound=models.Model)


def update_returning(rows: models.QuerySet[M], **values: Any) -> list[M]:  # Any: as QuerySet.update
    """Update the rows of a QuerySet in one statement and return them as they are afterwards.

    The predicate is evaluated under each row's lock, as with `update()`.

    Args:
        rows: what to update; it must not be sliced or joined.
        values: column values or expressions, as for `update()`.
    """
    query = cast(UpdateQuery, rows.query.chain(UpdateQuery))
    query.add_update_values(values)
    query.clear_ordering(force=True)
    # As `update()` does: with a router, writes go to the database that takes them.
    rows._for_write = True  # type: ignore[attr-defined] # the stubs leave it out
    try:
        sql, params = query.get_compiler(using=rows.db).as_sql()
    except EmptyResultSet:
        return []
    return execute_returning(rows.model, rows.db, sql, params)


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
    connection = connections[using]
    fields = model._meta.concrete_fields
    table = connection.ops.quote_name(model._meta.db_table)
    columns = ", ".join(
        f"{table}.{connection.ops.quote_name(column)}"
        for field in fields
        if (column := field.column)
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {columns}", params)
        rows = cursor.fetchall()
    names = [field.attname for field in fields]
    return [model.from_db(using, names, values) for values in _converted(connection, fields, rows)]


def _converted(
    connection: BaseDatabaseWrapper,
    fields: Iterable[models.Field[Any, Any]],  # Any: as django-stubs declares fields
    rows: list[tuple[object, ...]],
) -> Iterable[list[object]]:
    steps = [
        (position, convert, column)
        for position, column in enumerate(f.get_col(f.model._meta.db_table) for f in fields)
        for convert in (
            *connection.ops.get_db_converters(column),
            *column.get_db_converters(connection),
        )
    ]
    for row in rows:
        values = list(row)
        for position, convert, column in steps:
            values[position] = convert(values[position], column, connection)
        yield values
