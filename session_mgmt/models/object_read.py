"""Read the states of objects as the text that they are stored as, which the ORM would parse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_objects"]

_TABLE: Final = "session_mgmt_storedobject"
_ONE_OF: Final = {
    "postgresql": "ANY(%s::bigint[])",
    "sqlite": "(SELECT value FROM json_each(%s))",
}
_EQUALS: Final = {"postgresql": "=", "sqlite": "IN"}


def read_objects(
    using: str, class_name: str, partition_id: int, object_ids: Sequence[int]
) -> list[tuple[int, str, int, int]]:
    """Return id, state, version and writer of those of the objects that exist; one query."""
    connection = connections[using]
    vendor = connection.vendor
    ids = list(object_ids) if vendor == "postgresql" else json.dumps(list(object_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT object_id, CAST(state AS text), version, writer FROM {_TABLE}
            WHERE class_name = %s AND partition_id = %s
            AND object_id {_EQUALS[vendor]} {_ONE_OF[vendor]}
            """,  # noqa: S608 # names of ours only
            [class_name, partition_id, ids],
        )
        rows: list[tuple[int, str, int, int]] = cursor.fetchall()
        return rows
