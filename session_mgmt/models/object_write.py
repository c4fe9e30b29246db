"""Write what has become of many objects by one statement for each kind of change.

An UPDATE or DELETE takes a row only if it is as its writer knows it. That is so in two cases:

1. Version and writer of the row are those that were read, or written and confirmed, last.
2. The row's writer is the very copy that writes now, and its version is not newer than the new one.
   Then nobody else has written since. It covers a COMMIT whose answer was lost, a transaction of
   the caller that was rolled back or not, and a repetition, which changes nothing.

Each copy in each process has its own number as a writer, so that neither case can be met by another
one's work: a version alone could, when a transaction was rolled back and its version given again.
A change of a copy that comes late, after a newer one of the same copy, is not taken by case 2.

The rows are locked in the order of their keys, all that exist before any is made, and new rows are
made in that order too. So two writers of many objects wait for each other but never in a circle.
"""

from __future__ import annotations

import json
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from django.db import DatabaseError, connections, transaction

from session_mgmt.db.lock_timeout import is_lock_failure, lock_timeout
from session_mgmt.models.stored_object import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Change", "Key", "Kind", "apply_changes", "stored_versions"]

Key: TypeAlias = tuple[str, int, int]  # class, partition, id
Kind: TypeAlias = str

_LARGE: Final = 32_000_000  # characters; PostgreSQL refuses 1 GB
_BRIEFLY: Final = 0.05
_TABLE: Final = "session_mgmt_storedobject"
_KEY: Final = ("class_name", "partition_id", "object_id")
_COLUMNS: Final = {
    "class_name": "text",
    "partition_id": "bigint",
    "object_id": "bigint",
    "state": "jsonb",
    "version": "bigint",
    "base": "bigint",
    "seen": "bigint",
    "writer": "bigint",
}
_MATCHES: Final = """((o.version = {base} AND o.writer = {seen})
    OR (o.writer = {writer} AND o.version <= {version}))"""
_SAME_KEY: Final = " AND ".join(f"o.{name} = {{{name}}}" for name in _KEY)
_RETURNED: Final = ", ".join(_KEY)
_THEIRS: Final = ", ".join(f"o.{name}" for name in _KEY)

_STATEMENTS: Final = {
    "insert": f"""
        INSERT INTO {_TABLE} AS o
            ({_RETURNED}, state, version, writer, created_at, updated_at)
        SELECT {{class_name}}, {{partition_id}}, {{object_id}}, {{state}}, {{version}}, {{writer}},
            {{now}}, {{now}}
        FROM {{given}} WHERE true ORDER BY 1, 2, 3
        ON CONFLICT ({_RETURNED}) DO UPDATE
        SET state = EXCLUDED.state, version = EXCLUDED.version, updated_at = EXCLUDED.updated_at
        WHERE o.writer = EXCLUDED.writer AND o.version <= EXCLUDED.version
        RETURNING {_RETURNED}""",  # noqa: S608 # names of ours only
    "update": f"""
        UPDATE {_TABLE} AS o
        SET state = {{state}}, version = {{version}}, writer = {{writer}}, updated_at = {{now}}
        FROM {{given_locked}} WHERE {_SAME_KEY} AND {_MATCHES}
        RETURNING {{returned}}""",  # noqa: S608 # names of ours only
    "delete": f"""
        DELETE FROM {_TABLE} WHERE id IN (
            SELECT o.id FROM {_TABLE} o JOIN {{given}} ON {_SAME_KEY} AND {_MATCHES}
            ORDER BY {_THEIRS} {{lock}})
        RETURNING {_RETURNED}""",  # noqa: S608 # names of ours only
    "lock": f"""
        SELECT 1 FROM {_TABLE} o JOIN {{given}} ON {_SAME_KEY} ORDER BY {_THEIRS} {{lock}}""",  # noqa: S608 # names of ours only
    "look": f"""
        SELECT {_THEIRS}, o.version, o.writer
        FROM {_TABLE} o JOIN {{given}} ON {_SAME_KEY}""",  # noqa: S608 # names of ours only
}


class Change(NamedTuple):
    """What is to become of one object's row.

    Attributes:
        kind: "insert", "update" or "delete".
        class_name: with `partition_id` and `object_id`, which object.
        state: its fields as JSON text.
        version: the new one.
        base: the version that the writer has read, or written, last.
        seen: the writer of that version.
        writer: who writes now.
    """

    kind: Kind
    class_name: str
    partition_id: int
    object_id: int
    state: str
    version: int
    base: int
    seen: int
    writer: int

    @property
    def key(self) -> Key:
        """What tells its row from all others."""
        return (self.class_name, self.partition_id, self.object_id)

    def as_json(self) -> str:
        """Return the row of the statement's input; the state is JSON already."""
        return (
            f'{{"class_name": {json.dumps(self.class_name)}, "partition_id": {self.partition_id}, '
            f'"object_id": {self.object_id}, "version": {self.version}, "base": {self.base}, '
            f'"seen": {self.seen}, "writer": {self.writer}, "state": {self.state}}}'
        )


def apply_changes(using: str, changes: Iterable[Change], *, wait: bool) -> set[Key]:
    """Make the changes whose objects are as their writers know them; inside of a transaction.

    One statement for each kind that occurs, and on PostgreSQL one more that locks if there are
    several; more if they are larger than 32 MB together.

    Args:
        using: database alias.
        changes: no two of one object.
        wait: whether to wait for what somebody else has locked; otherwise it is left out. SQLite
            locks the whole database, and a transaction that writes has that lock.

    Returns:
        The keys of the objects that were changed.
    """
    by_kind: dict[Kind, list[Change]] = {}
    for change in sorted(changes, key=attrgetter("key")):
        by_kind.setdefault(change.kind, []).append(change)
    is_postgres = connections[using].vendor == "postgresql"
    if wait and len(by_kind) > 1 and is_postgres:
        _execute(using, "lock", [*by_kind.get("delete", ()), *by_kind.get("update", ())])
    done: set[Key] = set()
    for kind in sorted(by_kind):  # what is deleted makes room for what is inserted
        if kind == "insert" and is_postgres and not wait:
            rows = _insert_without_waiting(using, by_kind[kind])
        else:
            rows = _execute(using, kind, by_kind[kind], skip_locked=not wait)
        done.update((name, partition, number) for name, partition, number in rows)
    return done


def stored_versions(using: str, changes: Sequence[Change]) -> dict[Key, tuple[int, int]]:
    """Return version and writer of the rows of these objects that exist; one query."""
    rows = _execute(using, "look", changes)
    return {
        (name, partition, number): (version, writer)
        for name, partition, number, version, writer in rows
    }


def _insert_without_waiting(using: str, changes: Sequence[Change]) -> list[tuple[Any, ...]]:
    """Insert rows, but not those of which somebody else has one that is not committed yet."""
    try:
        with transaction.atomic(using=using), lock_timeout(_BRIEFLY, using):
            return _execute(using, "insert", changes)
    except DatabaseError as error:
        if not is_lock_failure(error):
            raise
    if len(changes) == 1:
        return []
    middle = len(changes) // 2
    parts = (changes[:middle], changes[middle:])
    return [row for part in parts for row in _insert_without_waiting(using, part)]


def _execute(
    using: str, kind: Kind, changes: Sequence[Change], *, skip_locked: bool = False
) -> list[tuple[Any, ...]]:  # Any: what drivers give
    connection = connections[using]
    # PostgreSQL takes any number of given rows for 100; a limit tells it when they are fewer.
    limit = 10 ** len(str(len(changes) - 1))
    statement = _statement(connection.vendor, kind, limit, skip_locked=skip_locked)
    rows: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        for part in _parts(changes):
            cursor.execute(statement, [part])
            rows += cursor.fetchall()
    return rows


def _parts(changes: Iterable[Change]) -> Iterator[str]:
    """Yield the statement's input, in pieces that a server takes."""
    waiting: list[str] = []
    size = 0
    for change in changes:
        text = change.as_json()
        if waiting and size + len(text) > _LARGE:
            yield f"[{','.join(waiting)}]"
            waiting, size = [], 0
        waiting.append(text)
        size += len(text)
    if waiting:
        yield f"[{','.join(waiting)}]"


@cache
def _statement(vendor: str, kind: Kind, limit: int, *, skip_locked: bool) -> str:
    statement = _STATEMENTS[kind]
    if vendor == "sqlite":
        names = {name: f"json_extract(g.value, '$.{name}')" for name in _COLUMNS}
        return statement.format(
            **names,
            given="json_each(%s) AS g",
            given_locked="json_each(%s) AS g",
            lock="",
            returned=_RETURNED,
            now="strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
        )
    names = {name: f"g.{name}" for name in _COLUMNS}
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    given = f"(SELECT * FROM json_to_recordset(%s) AS r({columns}) LIMIT {limit}) AS g"  # noqa: S608 # names of ours only
    skip = "SKIP LOCKED" if skip_locked else ""
    # A plain UPDATE would lock in the order that its join happens to have.
    locked = f"""(SELECT g.* FROM {_TABLE} o JOIN {given} ON {_SAME_KEY.format(**names)}
        ORDER BY {_THEIRS}
        FOR NO KEY UPDATE OF o {skip}) AS g"""  # noqa: S608 # names of ours only
    return statement.format(
        **names,
        given=given,
        given_locked=locked,
        lock=f"FOR UPDATE OF o {skip}",
        now="now()",
        returned=_THEIRS,
    )


assert StoredObject._meta.db_table == _TABLE  # noqa: S101 # the statements name it
