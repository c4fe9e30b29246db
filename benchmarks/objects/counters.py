"""The stateful class of the benchmark, and its rows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import psycopg

from session_mgmt.objects import OaasObject, oaas

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CLASS", "TABLE", "Counter", "connect", "fill", "tidy", "total"]

CLASS: Final = "bench.Counter"
TABLE: Final = "session_mgmt_storedobject"
# As the serializer of the class writes it, so that everybody writes and reads the same.
_STATE: Final = """jsonb_build_object(
    'counter', 0, 'title', 'counter ' || n, 'note', 'A note of a few words beside it')"""


@oaas.service("Counter", package="bench")
class Counter(OaasObject):
    """A counter with two texts."""

    counter: int = 0
    title: str = ""
    note: str = "A note of a few words beside it"

    @oaas.method
    def increment(self) -> None:
        """Count once."""
        self.counter += 1

    @oaas.method
    def increment_often(self, times: int) -> None:
        """Count many times in one call."""
        for _ in range(times):
            self.counter += 1

    @oaas.method(retry_on_conflict=True)
    def increment_surely(self) -> None:
        """Count once, whoever else does."""
        self.counter += 1


def connect(alias: str = "default") -> psycopg.Connection[Any]:
    """Return a connection of psycopg alone, which prepares each statement at once."""
    from django.db import connections

    wanted = ("dbname", "user", "password", "host", "port")
    parameters = connections[alias].get_connection_params()
    target = {key: value for key, value in parameters.items() if key in wanted}
    connection = psycopg.connect(**target, autocommit=True, prepare_threshold=0)
    shown = connection.execute("SHOW synchronous_commit").fetchone()
    assert shown == ("on",), os.environ["BENCHMARK_DATABASE_URL"]  # noqa: S101 # else not durable
    return connection


def fill(objects: int, *, partition: int = 0, alias: str = "default") -> None:
    """Leave objects with ids from 1 in a partition, and no others in it."""
    with connect(alias) as connection:
        connection.execute(f"DELETE FROM {TABLE} WHERE partition_id = {partition}")  # noqa: S608 # ours
        connection.execute(
            f"INSERT INTO {TABLE} (class_name, partition_id, object_id, state, version, writer,"  # noqa: S608 # ours
            f" created_at, updated_at) SELECT '{CLASS}', {partition}, n, {_STATE}, 1, 0, now(),"
            f" now() FROM generate_series(1, {objects}) AS n"
        )
    tidy(alias)


def tidy(alias: str = "default") -> None:
    """Remove what the last contender has left behind; it would cost the next one."""
    with connect(alias) as connection:
        connection.execute(f"VACUUM ANALYZE {TABLE}")


def total(ids: Sequence[int] | None = None, *, partition: int = 0, alias: str = "default") -> int:
    """Return the sum of the counters, of some objects or of all."""
    with connect(alias) as connection:
        row = connection.execute(
            f"SELECT coalesce(sum((state->>'counter')::bigint), 0)::bigint FROM {TABLE}"  # noqa: S608 # ours
            " WHERE class_name = %s AND partition_id = %s"
            " AND (%s::bigint[] IS NULL OR object_id = ANY(%s))",
            [CLASS, partition, ids, ids],
        ).fetchone()
    return int(row[0]) if row else 0
