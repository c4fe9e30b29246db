"""Get a connection although none may be had at the moment, and give it back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.db import Error, connections

from session_mgmt.db.backoff import Attempts, Backoff, drop_dead_connections
from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.outage import watch_pool
from session_mgmt.db.witness import in_transaction

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["connect_patiently", "leave_pool", "release"]


def connect_patiently(connection: BaseDatabaseWrapper) -> None:
    """Connect, trying again as the settings RETRY_* say; nothing if a transaction is open.

    Raises:
        OperationalError: no connection could be had.
    """
    if connection.connection is not None or in_transaction(connection):
        return
    attempts = Attempts("get_db_session", Backoff())
    while True:
        try:
            watch_pool(connection)
            connection.ensure_connection()
        except Error as error:
            wait = None if classify(error) is Fault.PERMANENT else attempts.wait_after(error)
            if wait is None:
                raise
            drop_dead_connections(error)
        else:
            return
        time.sleep(wait)


def release(connection: BaseDatabaseWrapper) -> None:
    """Give a connection back to its pool, or close it, unless CONN_MAX_AGE says to keep it.

    Nothing happens inside a transaction. A thread that ends with a pooled connection would keep
    its slot for ever.
    """
    if in_transaction(connection):
        return
    if connection.settings_dict["CONN_MAX_AGE"] == 0:
        connection.close()
    else:
        connection.close_if_unusable_or_obsolete()


def leave_pool(using: str) -> None:
    """Let this thread have a connection of its own, beside the pool; for what must not wait.

    It is made at its first use, and closed by `close()`.
    """
    if "pool" in connections[using].settings_dict["OPTIONS"]:
        connection = connections[using].copy()
        del connection.settings_dict["OPTIONS"]["pool"]
        connections[using] = connection
