"""Write the progress of many sessions by one statement that never replaces newer with older.

It knows no model, since sessions need it before there is one for their progress.

The rows are locked in the order of their keys, each session before its progress: so two processes
that write the same sessions wait for each other but never in a circle, nor does a clean-up, which
locks sessions before it deletes what belongs to them. A plain bulk UPDATE locks in the order that
the join happens to have, however its input is sorted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from django.apps import apps
from django.db import connections

from session_mgmt.schemas import ProgressUpdate
from session_mgmt.signals import announce, progress_updated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model

    from session_mgmt.models.progress import Progress

__all__ = ["ProgressState", "store_and_announce", "store_newest"]

# What is given as rows, one value of such a row, and how to keep a session from being removed.
_DIALECTS: Final = {
    "postgresql": (
        """(SELECT * FROM json_to_recordset(%s) AS r(
            session_id uuid, current_step integer, total_steps integer, description text,
            rate double precision, updated_at timestamptz))""",
        "g.{}",
        "FOR KEY SHARE OF s",
    ),
    "sqlite": ("json_each(%s)", "json_extract(g.value, '$.{}')", ""),
}


class ProgressState(NamedTuple):
    """How far a session was at one moment; the fields are those of `Progress`."""

    session_id: UUID
    current_step: int
    total_steps: int
    description: str
    rate: float | None
    updated_at: datetime

    def as_update(self) -> ProgressUpdate:
        """Return it as the value that the API speaks of."""
        return ProgressUpdate.from_stored(
            {
                "current_step": self.current_step,
                "total_steps": self.total_steps,
                "description": self.description,
            }
        )


def store_and_announce(using: str, states: Iterable[ProgressState]) -> None:
    """Do `Progress.objects.record_many`, and send `progress_updated` for what was written."""
    # Sessions need this module before there can be a model of their progress.
    progress: type[Progress] = apps.get_model("session_mgmt", "Progress")
    by_id = {state.session_id: state for state in states}
    written = progress.objects.using(using).record_many(by_id.values())
    if progress_updated.has_listeners(progress):
        for key in written:
            update = by_id[key].as_update()
            announce(progress_updated, progress, using, session_id=str(key), progress=update)


def store_newest(model: type[Model], using: str, states: Iterable[ProgressState]) -> list[UUID]:
    """Insert or update a row for each session that exists; one statement.

    A stored row that is newer, by `updated_at`, stays as it is. A session that is being removed
    by somebody is waited for, and then left out.

    Args:
        model: `Progress`.
        using: database alias.
        states: no two of one session.

    Returns:
        The ids of the sessions whose row was written.
    """
    connection = connections[using]
    key = model._meta.pk
    adapt = connection.ops.adapt_datetimefield_value
    rows = [
        {
            **state._asdict(),
            "session_id": key.get_db_prep_value(state.session_id, connection),
            "updated_at": adapt(state.updated_at),
        }
        for state in states
    ]
    with connection.cursor() as cursor:
        cursor.execute(_statement(connection, model), [json.dumps(rows, default=str)])
        return [key.to_python(written) for (written,) in cursor.fetchall()]


def _statement(connection: BaseDatabaseWrapper, model: type[Model]) -> str:
    quote = connection.ops.quote_name
    table, session_table = quote(model._meta.db_table), quote(_session_table(model))
    key, *others = ProgressState._fields
    given, value, lock = _DIALECTS[connection.vendor]
    return f"""
        INSERT INTO {table} ({", ".join(ProgressState._fields)})
        SELECT s.id, {", ".join(value.format(name) for name in others)}
        FROM {given} g JOIN {session_table} s ON s.id = {value.format(key)}
        WHERE true ORDER BY s.id {lock}
        ON CONFLICT ({key}) DO UPDATE
        SET {", ".join(f"{name} = EXCLUDED.{name}" for name in others)}
        WHERE {table}.updated_at <= EXCLUDED.updated_at
        RETURNING {key}
    """  # noqa: S608 # names of ours only


def _session_table(model: type[Model]) -> str:
    sessions = cast("type[Model]", model._meta.pk.related_model)
    return sessions._meta.db_table
