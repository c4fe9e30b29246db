"""Sessions and retries on a pool that is small, or whose connections are all dead."""

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import OperationalError, connections

from session_mgmt.db import db_retry, get_db_session, run_in_transaction
from tests.faults.servers import ON_POSTGRES, READ, WRITE, run, works
from tests.processes import wait_until

pytestmark = ON_POSTGRES


@pytest.fixture(autouse=True)
def short_waits(settings):
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0.2}


@pytest.fixture(params=["with a ping", "without"])
def small_pool(request, server, add_database):
    entry = server.settings(
        OPTIONS={"pool": {"min_size": 2, "max_size": 2, "timeout": 10, "reconnect_timeout": 1}},
        CONN_HEALTH_CHECKS=request.param == "with a ping",
    )
    return add_database("small", entry)


def stats(alias):
    return connections[alias].pool.get_stats()


def in_threads(function, count):
    errors = []

    def work():
        try:
            function()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_fifty_threads_that_end_leave_a_pool_of_two_whole(server, small_pool):
    def add_one():
        with get_db_session(small_pool) as session:
            run(connections[session.alias], WRITE, 1)

    assert in_threads(add_one, 50) == []
    assert server.numbers()[1] == 50
    wait_until(lambda: stats(small_pool)["pool_available"] == 2)
    assert len(server.backend_pids()) == 2


def test_threads_that_fail_leave_it_whole_too(server, small_pool):
    def fail():
        with get_db_session(small_pool) as session:
            run(connections[session.alias], WRITE, 1)
            raise ZeroDivisionError

    errors = in_threads(fail, 50)
    assert {type(error) for error in errors} == {ZeroDivisionError}
    assert len(errors) == 50
    assert server.numbers()[1] == 0
    wait_until(lambda: stats(small_pool)["pool_available"] == 2)


def test_fifty_tasks_leave_it_whole_too(server, small_pool):
    async def add_one():
        async with get_db_session(small_pool) as session:
            await sync_to_async(lambda: run(connections[session.alias], WRITE, 1))()

    async def main():
        for _ in range(50):
            await asyncio.create_task(add_one())

    async_to_sync(main)()
    assert server.numbers()[1] == 50
    wait_until(lambda: stats(small_pool)["pool_available"] == 2)


def read(alias):
    with get_db_session(alias) as session:
        return run(connections[session.alias], READ)


CALLS = {
    "get_db_session": read,
    "db_retry": lambda alias: db_retry(works)(connections[alias]),
    "run_in_transaction": lambda alias: run_in_transaction(
        lambda: run(connections[alias], WRITE, 1), using=alias
    ),
}


@pytest.mark.parametrize("name", ["db_retry", "run_in_transaction"])
def test_after_a_restart_of_the_server_the_next_call_succeeds(server, small_pool, name):
    works(connections[small_pool])
    connections[small_pool].close()
    wait_until(lambda: stats(small_pool)["pool_available"] == 2)
    server.restart("immediate")
    CALLS[name](small_pool)
    CALLS[name](small_pool)
    assert server.numbers()[1] == (2 if name == "run_in_transaction" else 0)


def test_a_session_meets_a_dead_connection_at_most_once(server, small_pool):
    works(connections[small_pool])
    connections[small_pool].close()
    wait_until(lambda: stats(small_pool)["pool_available"] == 2)
    server.restart("immediate")
    try:
        read(small_pool)
    except OperationalError:
        # A block cannot be run twice; without a ping it has to find out by itself.
        assert not connections[small_pool].settings_dict["CONN_HEALTH_CHECKS"]
    assert db_retry(read)(small_pool) == (0,)


@pytest.mark.parametrize("name", CALLS)
def test_while_the_server_is_away_the_error_comes_out_and_afterwards_all_is_well(
    server, small_pool, settings, name
):
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0, "RETRY_MAX_RETRIES": 1}
    works(connections[small_pool])
    connections[small_pool].close()
    server.stop()
    with pytest.raises(OperationalError):
        CALLS[name](small_pool)
    server.start()
    settings.SESSION_MGMT = {"RETRY_MAX_RETRIES": 10}
    CALLS[name](small_pool)
    wait_until(lambda: stats(small_pool)["pool_available"] >= 1 or works(connections[small_pool]))
