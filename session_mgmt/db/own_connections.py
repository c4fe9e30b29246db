"""Give a thread database connections that nobody else has, for as long as one piece of work."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from django.db import Error as DatabaseError
from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["own_connections"]


@contextmanager
def own_connections(aliases: set[str]) -> Iterator[None]:
    """Let this thread use new connections while the block runs, and none is kept afterwards.

    The main thread's own, at exit, may be in a transaction that nobody commits any more, or after
    a fork be the parent's.
    """
    before = {alias: connections[alias] for alias in aliases.intersection(connections)}
    # This reference is why a child that is forked meanwhile never closes its copies: the frames of
    # a thread that is not there are not cleared. SQLite would roll back the parent's transaction.
    own = {alias: connections.create_connection(alias) for alias in before}
    try:
        for alias in before:
            connections[alias] = own[alias]
        yield
    finally:
        for alias in before:
            with suppress(DatabaseError):
                own[alias].close()
            connections[alias] = before[alias]
