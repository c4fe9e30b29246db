"""What a person would write by hand with psycopg who wants speed and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmarks.objects.counters import CLASS, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    Cursor: TypeAlias = psycopg.Cursor[Any]

__all__ = ["States", "copy", "insert", "load", "load_one", "update", "update_strictly", "versions"]

States: TypeAlias = "Mapping[int, dict[str, Any]]"

_UPDATE: Final = f"""
    UPDATE {TABLE} AS o
    SET state = g.state::jsonb, version = o.version + 1, updated_at = now()
    FROM unnest(%s::bigint[], %s::text[]) AS g(id, state)
    WHERE o.class_name = '{CLASS}' AND o.partition_id = %s AND o.object_id = g.id
"""  # noqa: S608 # names
_UPDATE_STRICTLY: Final = f"""
    UPDATE {TABLE} AS o
    SET state = g.state::jsonb, version = g.version + 1, writer = g.writer, updated_at = now()
    FROM (
        SELECT o.id AS row, g.* FROM {TABLE} AS o
        JOIN unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
            AS g(id, state, version, writer) ON o.object_id = g.id
        WHERE o.class_name = '{CLASS}' AND o.partition_id = %s
        ORDER BY o.object_id FOR NO KEY UPDATE OF o
    ) AS g
    WHERE o.id = g.row AND o.version = g.version
    RETURNING o.object_id
"""  # noqa: S608 # names
_COLUMNS: Final = (
    "class_name, partition_id, object_id, state, version, writer, created_at, updated_at"
)
_INSERT: Final = f"""
    INSERT INTO {TABLE} ({_COLUMNS})
    SELECT '{CLASS}', %s, g.id, g.state::jsonb, 1, 0, now(), now()
    FROM unnest(%s::bigint[], %s::text[]) AS g(id, state)
"""  # noqa: S608 # names
_COPY: Final = f"COPY {TABLE} ({_COLUMNS}) FROM STDIN"
_LOAD: Final = f"""
    SELECT object_id, state::text, version FROM {TABLE}
    WHERE class_name = '{CLASS}' AND partition_id = %s AND object_id
"""  # noqa: S608 # names


def update(cursor: Cursor, states: States, partition: int = 0) -> None:
    """Write the states of rows that exist, whoever else has."""
    cursor.execute(_UPDATE, [[*states], [json.dumps(one) for one in states.values()], partition])


def update_strictly(cursor: Cursor, states: States, versions: dict[int, int]) -> None:
    """Write as the library must: in a transaction, in a fixed order, only what nobody changed."""
    known = [versions[number] for number in states]
    texts = [json.dumps(one) for one in states.values()]
    with cursor.connection.transaction():
        cursor.execute(_UPDATE_STRICTLY, [[*states], texts, known, known, 0])
        done = cursor.fetchall()
        if len(done) != len(states):
            raise LookupError
    for number in states:
        versions[number] += 1


def insert(cursor: Cursor, states: States) -> None:
    """Add rows by one statement."""
    cursor.execute(_INSERT, [0, [*states], [json.dumps(one) for one in states.values()]])


def copy(cursor: Cursor, states: States) -> None:
    """Add rows by COPY."""
    cursor.execute("SELECT now()")
    (now,) = cursor.fetchone() or ()
    with cursor.copy(_COPY) as rows:
        for number, state in states.items():
            rows.write_row((CLASS, 0, number, json.dumps(state), 1, 0, now, now))


def load(cursor: Cursor, ids: Sequence[int], partition: int = 0) -> dict[int, dict[str, Any]]:
    """Return the states of many rows."""
    rows = cursor.execute(f"{_LOAD} = ANY(%s)", [partition, [*ids]])
    return {number: json.loads(state) for number, state, _ in rows}


def load_one(cursor: Cursor, number: int) -> dict[str, Any]:
    """Return the state of one row."""
    row = cursor.execute(f"{_LOAD} = %s", [0, number]).fetchone()
    if row is None:
        raise LookupError(number)
    return dict(json.loads(row[1]))


def versions(cursor: Cursor, ids: Sequence[int]) -> dict[int, int]:
    """Return the versions of many rows."""
    rows = cursor.execute(f"{_LOAD} = ANY(%s)", [0, [*ids]])
    return {number: version for number, _, version in rows}
