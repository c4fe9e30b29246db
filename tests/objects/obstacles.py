"""What stands in the way of commits: somebody's locks, work in progress, a broken database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection, connections

from session_mgmt.db.write_behind import flush
from session_mgmt.models import StoredObject
from session_mgmt.objects import OaasService
from session_mgmt.objects.stores import DatabaseStore
from tests.faults.conftest import add_database, cluster, server

__all__ = [
    "LOCK",
    "TAKE",
    "LateStore",
    "add_database",
    "cluster",
    "in_progress",
    "in_the_way",
    "on_server",
    "server",
]

LOCK = "SELECT 1 FROM session_mgmt_storedobject WHERE object_id = %s FOR UPDATE"
UPDATE = "UPDATE session_mgmt_storedobject SET version = version WHERE object_id = %s"
TAKE = """INSERT INTO session_mgmt_storedobject
    (class_name, partition_id, object_id, state, version, writer, created_at, updated_at)
    VALUES ('tests.Tally', 0, %s, '{}', 1, 1, now(), now())"""


@contextmanager
def in_progress(begin, *arguments):
    """Run a function in a thread that has begun; it waits until the block ends, or says so."""
    begun, go_on = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(begin, begun, go_on, *arguments)
        assert begun.wait(30)
        try:
            yield go_on
        finally:
            go_on.set()
            future.result()
            pool.submit(connections.close_all).result()


@contextmanager
def in_the_way(sql, *parameters):
    """Execute something in a transaction of somebody else's that is open while the block runs."""
    somebody = connection.copy()
    try:
        somebody.set_autocommit(False)
        with somebody.cursor() as cursor:
            cursor.execute(sql, parameters)
        yield
        somebody.rollback()
    finally:
        somebody.close()


def row_locked(tally):
    """Lock an object's row while the block runs, or until the event is set that it gives."""

    def lock(begun, go_on):
        with in_the_way(UPDATE, tally.object_id):
            begun.set()
            assert go_on.wait(30)

    return in_progress(lock)


class LateStore(DatabaseStore):
    """A store in which the commits of one thread are done, and it is not told for a while."""

    late = threading.local()

    @classmethod
    def commit_all(cls, begun, go_on):
        """Commit all sessions as that thread; for `in_progress`."""
        cls.late.events = begun, go_on
        OaasService.commit_all()

    def transact(self, place, work):
        super().transact(place, work)
        if events := getattr(self.late, "events", None):
            events[0].set()
            assert events[1].wait(30)


class ToTheServer:
    """Sends objects to the server that tests may break."""

    def db_for_write(self, model, **hints):
        return "broken" if model is StoredObject else None

    db_for_read = db_for_write


@pytest.fixture
def on_server(server, add_database, settings):
    pool = {"min_size": 2, "max_size": 2, "timeout": 10, "reconnect_timeout": 1}
    add_database("broken", server.settings(OPTIONS={"pool": pool}))
    settings.DATABASE_ROUTERS = [ToTheServer()]
    server.execute("DROP TABLE IF EXISTS session_mgmt_storedobject")
    with connections["broken"].schema_editor() as editor:
        editor.create_model(StoredObject)
    connections["broken"].close()
    yield server
    OaasService.shutdown()
    flush()
