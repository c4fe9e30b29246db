"""The pool that `database_config` makes, against a real server."""

import os
import threading
import time

import pytest
from django.db import connection
from django.db.utils import ConnectionHandler

from session_mgmt.db.pool import database_config
from tests.processes import wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_postgresql")]


@pytest.fixture
def pooled(on_postgresql):
    made = []

    def make(**arguments):
        entry = database_config({"DATABASE_URL": os.environ["DATABASE_URL"]}, **arguments)
        entry["NAME"] = connection.settings_dict["NAME"]
        entry["OPTIONS"]["application_name"] = "pooled"
        made.append(ConnectionHandler({"default": {}, "pooled": entry})["pooled"])
        return made[-1]

    yield make
    for each in made:
        each.close()
        each.close_pool()


def query(pooled, statement="SELECT pg_backend_pid()", parameters=None):
    with pooled.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()[0]


def end_connections():
    """Let the server end all pooled connections; return how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE application_name = 'pooled'"
        )
        return cursor.fetchone()[0]


def test_the_pool_serves_queries_from_the_sizes_that_were_asked_for(pooled):
    from psycopg_pool import PoolTimeout

    alias = pooled(pool_size=2, max_overflow=1, pool_timeout=7, pool_recycle=60)
    assert query(alias, "SELECT %s + 1", [41]) == 42
    pool = alias.pool
    assert (pool.min_size, pool.max_size, pool.timeout, pool.max_lifetime) == (2, 3, 7, 60)
    taken = [pool.getconn(timeout=5) for _ in range(2)]
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0.1)
    for each in taken:
        pool.putconn(each)
    first = query(alias)
    alias.close()
    wait_until(lambda: pool.get_stats()["pool_available"] == 3)
    assert {query_once(alias) for _ in range(3)} >= {first}


def query_once(alias):
    try:
        return query(alias)
    finally:
        alias.close()


def test_statements_are_bound_and_prepared_by_the_server_unless_switched_off(pooled):
    prepared = "SELECT count(*) FROM pg_prepared_statements"
    alias = pooled(pool_size=1, max_overflow=0)
    for number in range(8):
        assert query(alias, "SELECT %s::int", [number]) == number
    assert query(alias, prepared) > 0
    alias.close()
    alias.close_pool()
    alias = pooled(pool_size=1, max_overflow=0, prepared=False)
    for number in range(8):
        assert query(alias, "SELECT %s::int", [number]) == number
    assert query(alias, prepared) == 0


def test_a_connection_that_the_server_ended_is_noticed_before_it_is_used(pooled):
    alias = pooled(pool_size=1, max_overflow=0)
    ended = query_once(alias)
    assert end_connections() == 1
    assert query_once(alias) != ended
    assert alias.pool.get_stats()["connections_lost"] == 1


def test_without_the_ping_it_is_not_noticed(pooled):
    from django.db import OperationalError

    alias = pooled(pool_size=1, max_overflow=0, pre_ping=False)
    query_once(alias)
    end_connections()
    with pytest.raises(OperationalError):
        query_once(alias)


def test_after_a_restart_the_first_request_does_not_meet_every_dead_connection(pooled):
    alias = pooled(pool_size=6, max_overflow=0)
    query_once(alias)
    alias.pool.wait()
    assert end_connections() == 6
    started = time.monotonic()
    query_once(alias)
    # The third dead connection alone would have cost a second, the fourth two more.
    assert time.monotonic() - started < 1
    assert alias.pool.get_stats()["connections_lost"] == 6


def test_a_request_that_waits_through_an_outage_is_served_after_it(pooled):
    alias = pooled(pool_size=1, max_overflow=1, pool_timeout=60)
    pool = alias.pool
    good, served = pool.kwargs, []
    pool.kwargs = good | {"host": "/nowhere"}
    pool.open()
    request = threading.Thread(target=lambda: served.append(pool.getconn()))
    request.start()
    try:
        # More than one attempt makes before it gives up: somebody started the next.
        wait_until(lambda: pool.get_stats().get("connections_errors", 0) > 6)
    finally:
        pool.kwargs = good
        request.join(20)
    assert len(served) == 1
    pool.putconn(served[0])
