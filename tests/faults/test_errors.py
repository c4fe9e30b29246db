"""What `classify` and `describe` say of PostgreSQL's errors, each provoked for real."""

import logging
import traceback
from contextlib import ExitStack

import psycopg
import psycopg_pool
import pytest
from django.db import DatabaseError, Error, connections, transaction

from session_mgmt.db.errors import Fault, cause_of, classify, describe
from tests.faults import servers as ways
from tests.faults.proxy import Cut, at_random, next_ones, on_connections
from tests.faults.servers import GUARDED, ON_POSTGRES, PASSWORD, READ, WRITE, atomic, run, works

pytestmark = ON_POSTGRES


def seen(error, **more):
    return cause_of(error).sqlstate, classify(error, **more)


# The transaction is rolled back and the connection is good


@pytest.mark.parametrize(
    ("provoke", "state"),
    [
        pytest.param(
            ways.update_what_changed_since("REPEATABLE READ"), "40001", id="repeatable-read"
        ),
        pytest.param(ways.update_what_changed_since("SERIALIZABLE"), "40001", id="serializable"),
        (ways.deadlock, "40P01"),
        (ways.nowait, "55P03"),
        (ways.lock_timeout, "55P03"),
    ],
)
def test_a_conflict_is_transient_and_leaves_the_connection_good(server, faulty, provoke, state):
    connection = connections[faulty]
    pid = ways.pid_of(connection)
    with pytest.raises(DatabaseError) as raised:
        provoke(server, connection)
    assert seen(raised.value) == (state, Fault.TRANSIENT)
    assert ways.pid_of(connection) == pid


def test_a_serialization_failure_at_commit_is_transient(server, faulty):
    connection = connections[faulty]
    connection.set_autocommit(False)
    run(connection, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    run(connection, READ)
    run(connection, WRITE, 1)
    with server.connect() as other, other.transaction():
        other.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        other.execute(READ)
        other.execute(WRITE, [2])
    with pytest.raises(DatabaseError) as raised:
        connection.commit()
    assert seen(raised.value, committing=True) == ("40001", Fault.TRANSIENT)
    assert server.numbers() == {1: 0, 2: 1}
    connection.rollback()
    assert works(connection)


# The same would fail again


@pytest.mark.parametrize(
    ("state", "sql", "parameters"),
    [
        ("23505", "INSERT INTO fault_row VALUES (1, 0)", []),
        ("23502", "INSERT INTO fault_row VALUES (3, NULL)", []),
        ("42601", "SELEC", []),
        ("42P01", "SELECT * FROM nowhere", []),
        ("22012", "SELECT 1 / 0", []),
        ("22P02", "SELECT 'one'::integer", []),
        ("57014", "SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(60)", []),
        (None, "SELECT %s", ["\0"]),
    ],
)
def test_an_error_of_the_statement_is_permanent(faulty, state, sql, parameters):
    with pytest.raises(DatabaseError) as raised:
        run(connections[faulty], sql, *parameters)
    assert seen(raised.value) == (state, Fault.PERMANENT)


def test_a_constraint_that_fails_at_commit_is_permanent(faulty):
    connection = connections[faulty]
    connection.set_autocommit(False)
    run(connection, "CREATE TEMP TABLE late (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    run(connection, "INSERT INTO late VALUES (1), (1)")
    with pytest.raises(DatabaseError) as raised:
        connection.commit()
    assert seen(raised.value, committing=True) == ("23505", Fault.PERMANENT)


def test_going_on_in_a_failed_transaction_is_permanent(faulty):
    with pytest.raises(DatabaseError) as raised, atomic(connections[faulty]):
        with pytest.raises(DatabaseError):
            run(connections[faulty], "SELECT 1 / 0")
        run(connections[faulty], "SELECT 1")
    assert seen(raised.value) == ("25P02", Fault.PERMANENT)


def test_a_closed_cursor_is_permanent(faulty):
    with connections[faulty].cursor() as cursor:
        cursor.close()
        with pytest.raises(Error) as raised:
            cursor.execute("SELECT 1")
    assert seen(raised.value) == (None, Fault.PERMANENT)


def test_a_broken_atomic_block_is_permanent(faulty):
    with atomic(connections[faulty]):
        transaction.set_rollback(True, using=faulty)
        with pytest.raises(transaction.TransactionManagementError) as raised:
            run(connections[faulty], "SELECT 1")
    assert classify(raised.value) is Fault.PERMANENT


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError(), KeyboardInterrupt()], ids=repr)
def test_what_no_database_raised_is_permanent(error):
    assert (cause_of(error), classify(error, committing=True)) == (None, Fault.PERMANENT)


# The connection is lost


# A server that breaks off in a hurry says why in a warning, so such an error has no SQLSTATE.
@pytest.mark.parametrize("alias", ["faulty", "pooled"])
@pytest.mark.parametrize(
    ("provoke", "state"),
    [
        (ways.terminated_while_idle, "57P01"),
        (ways.terminated_in_a_transaction, "57P01"),
        (ways.terminated_in_a_statement, "57P01"),
        (ways.idle_session, "57P05"),
        (ways.idle_in_a_transaction("idle_in_transaction_session_timeout"), "25P03"),
        (ways.idle_in_a_transaction("transaction_timeout"), "25P04"),
        (ways.stopped("fast"), "57P01"),
        (ways.stopped("immediate"), None),
        (ways.postmaster_killed, "57P01"),
        (ways.backend_killed, None),
        (ways.backend_of_another_killed, None),
        (ways.closed_before, None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_connection_that_ended_is_lost(server, request, alias, provoke, state):
    connection = connections[request.getfixturevalue(alias)]
    with pytest.raises(DatabaseError) as raised:
        provoke(server, connection)
    assert seen(raised.value) == (state, Fault.LOST_CONNECTION)
    assert classify(raised.value, committing=True) is Fault.AMBIGUOUS_COMMIT
    server.start()
    assert server.numbers() == {1: 0, 2: 0}
    connection.close()
    assert works(connection)


# None was made: libpq then tells a text only, never a SQLSTATE


@pytest.mark.parametrize(
    ("state_of_affairs", "text"),
    [
        (ways.server_stopped, "No such file or directory"),
        (ways.server_full, "too many clients already"),
        (ways.server_shutting_down, "the database system is shutting down"),
        (ways.proxy_refusing, "server closed the connection unexpectedly"),
        # No repetition mends these two, but nothing except the text, which is translated, tells.
        (ways.wrong_password, "password authentication failed"),
        (ways.unknown_database, 'database "nowhere" does not exist'),
    ],
)
def test_a_connection_that_was_not_made_is_lost(
    server, proxy, add_database, state_of_affairs, text
):
    with state_of_affairs(server, proxy) as entry:
        connection = connections[add_database("faulty", server.settings(**entry))]
        with pytest.raises(DatabaseError, match=text) as raised:
            works(connection)
    assert seen(raised.value) == (None, Fault.LOST_CONNECTION)


# Pools, and connections that outlive a request


def pool_of(server, add_database, size, timeout=10, **entry):
    pool = {"min_size": size, "max_size": size, "timeout": timeout}
    alias = add_database("pool", server.settings(OPTIONS={"pool": pool}, **entry))
    connections[alias].pool.open(wait=True)
    return connections[alias]


def test_waiting_in_vain_for_a_connection_of_the_pool_is_a_lost_connection(server, add_database):
    connection = pool_of(server, add_database, size=1, timeout=0.1)
    other = connection.copy()
    assert works(other)
    with pytest.raises(DatabaseError) as raised:
        works(connection)
    other.close()
    assert isinstance(cause_of(raised.value), psycopg_pool.PoolTimeout)
    assert seen(raised.value) == (None, Fault.LOST_CONNECTION)
    assert works(connection)


@pytest.mark.parametrize(("checked", "lost"), [(False, 3), (True, 0)])
def test_a_pool_whose_connections_all_died(server, add_database, checked, lost):
    connection = pool_of(server, add_database, size=3, CONN_HEALTH_CHECKS=checked)
    server.restart()
    errors = []
    for _ in range(6):
        try:
            assert works(connection)
        except DatabaseError as error:
            errors.append(seen(error))
        connection.close()  # back to the pool, which throws it away if it is dead
    assert errors == [("57P01", Fault.LOST_CONNECTION)] * lost


@pytest.mark.parametrize(("checked", "lost"), [(False, 1), (True, 0)])
def test_a_kept_connection_that_died_between_requests(server, add_database, checked, lost):
    entry = server.settings(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=checked)
    connection = connections[add_database("kept", entry)]
    assert works(connection)
    server.restart()
    errors = []
    for _ in range(3):
        connection.close_if_unusable_or_obsolete()  # as at the beginning of a request
        try:
            assert works(connection)
        except DatabaseError as error:
            errors.append(seen(error))
    assert errors == [("57P01", Fault.LOST_CONNECTION)] * lost


# COMMIT, through the proxy


@pytest.mark.parametrize(("cut", "written"), [(Cut.REQUEST, 0), (Cut.REPLY, 1)])
def test_a_connection_lost_in_commit_is_ambiguous(server, proxied, proxy, cut, written):
    proxy.plan = next_ones(cut)
    with pytest.raises(DatabaseError) as raised, atomic(connections[proxied]):
        run(connections[proxied], WRITE, 1)
    assert seen(raised.value, committing=True) == (None, Fault.AMBIGUOUS_COMMIT)
    assert server.numbers()[1] == written
    # The second connection was made by Django when it left the atomic block.
    assert proxy.counts == {"connections": 2, "seen": 1, cut.value: 1}
    with atomic(connections[proxied]):
        run(connections[proxied], WRITE, 2)
    assert server.numbers()[2] == 1


def test_the_error_of_commit_may_hide_behind_that_of_the_next_connection(server, proxied, proxy):
    proxy.plan = next_ones(Cut.REPLY)
    with ExitStack() as stack, pytest.raises(DatabaseError) as raised, atomic(connections[proxied]):
        run(connections[proxied], WRITE, 1)
        stack.enter_context(proxy.refusing())
    assert "connection failed" in describe(raised.value)
    assert raised.value.__cause__.__context__ is not None
    assert seen(raised.value) == (None, Fault.LOST_CONNECTION)
    assert seen(raised.value, committing=True) == (None, Fault.AMBIGUOUS_COMMIT)
    assert server.numbers()[1] == 1


def test_random_cuts_lose_no_count(server, proxied, proxy):
    proxy.plan = at_random(seed=7, request=0.3, reply=0.3)
    faults = []
    for _ in range(40):
        try:
            with atomic(connections[proxied]):
                run(connections[proxied], WRITE, 1)
        except DatabaseError as error:
            faults.append(classify(error, committing=True))
    requests, replies = proxy.counts["cut_request"], proxy.counts["cut_reply"]
    assert min(requests, replies) > 0
    assert faults == [Fault.AMBIGUOUS_COMMIT] * (requests + replies)
    assert server.numbers()[1] == 40 - requests


@pytest.mark.parametrize(("cut", "written"), [(Cut.REQUEST, 0), (Cut.REPLY, 1)])
def test_the_proxy_cuts_in_the_extended_protocol_too(server, proxy, cut, written):
    proxy.plan = on_connections(cut, 2)
    for number in (1, 2):
        with psycopg.connect(proxy.url, autocommit=True) as connection:
            connection.execute("BEGIN", prepare=True)
            connection.execute(WRITE, [number], prepare=True)
            if number == 1:
                connection.execute("commit", prepare=True)
                continue
            with pytest.raises(psycopg.OperationalError):
                connection.execute("commit", prepare=True)
    assert server.numbers() == {1: 1, 2: written}


def test_an_ambiguous_statement_without_commit_is_a_lost_connection(proxied, proxy):
    proxy.plan, proxy.pattern = next_ones(Cut.REPLY), rb"SELECT sum"
    with pytest.raises(DatabaseError) as raised:
        run(connections[proxied], READ)
    assert seen(raised.value) == (None, Fault.LOST_CONNECTION)


# What the log may say


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("INSERT INTO diary VALUES (%s)", ["canary"]),
        ("INSERT INTO diary VALUES (%s)", ["canary" * 9]),
        ("SELECT %s::integer", ["canary"]),
        ("SELECT %s::json", ["canary"]),
        ("SELECT %s::timestamptz", ["canary"]),
    ],
)
def test_a_description_tells_no_values(faulty, sql, parameters):
    connection = connections[faulty]
    run(connection, "CREATE TEMP TABLE diary (text varchar(20) PRIMARY KEY)")
    run(connection, "INSERT INTO diary VALUES ('canary')")
    with pytest.raises(DatabaseError) as raised:
        run(connection, sql, *parameters)
    described = describe(raised.value)
    assert "canary" not in described
    assert described.endswith(f" [{cause_of(raised.value).sqlstate}]")
    assert "\n" not in described


def test_a_description_is_the_first_line_of_the_servers_message(faulty):
    with pytest.raises(DatabaseError) as raised:
        run(connections[faulty], "INSERT INTO fault_row VALUES (1, 0)")
    expected = 'duplicate key value violates unique constraint "fault_row_pkey" [23505]'
    assert describe(raised.value) == expected
    assert describe(ValueError("canary")) == "ValueError"


@pytest.fixture
def log(caplog):
    """Everything that is logged, however unimportant."""
    with caplog.at_level(logging.DEBUG):
        for name in ("psycopg", "psycopg.pool", "django"):
            caplog.set_level(logging.DEBUG, name)
        yield caplog


@pytest.mark.parametrize(
    ("provoke", "entry"),
    [
        (ways.terminated_while_idle, {}),
        (ways.stopped("fast"), {}),
        (ways.closed_before, {}),
        (works, {"PASSWORD": f"{PASSWORD}, which is wrong"}),
        (works, {"NAME": "nowhere"}),
        (works, {"PORT": "1"}),
        (works, {"HOST": "127.0.0.1", "PORT": "1"}),
        (works, {"OPTIONS": {"sslmode": "nonsense"}}),
        (works, {"OPTIONS": {"nonsense": "nonsense"}}),
        (works, {"OPTIONS": {"pool": {"timeout": 0.3}}, "PASSWORD": f"{PASSWORD}!"}),
    ],
)
def test_the_password_is_told_nowhere(server, add_database, log, provoke, entry):
    entry = server.settings(**{"USER": GUARDED, "PASSWORD": PASSWORD} | entry)
    connection = connections[add_database("guarded", entry)]
    with pytest.raises(DatabaseError) as raised:
        provoke(server, connection) if provoke is not works else works(connection)
    error = raised.value
    told = [describe(error), str(error), *traceback.format_exception(error), log.text]
    assert PASSWORD not in "\n".join(told)


def test_the_password_is_not_told_of_a_cut(server, proxy, add_database, log):
    entry = server.settings(**proxy.address, USER=GUARDED, PASSWORD=PASSWORD)
    connection = connections[add_database("guarded", entry)]
    errors = []
    for cut in Cut:
        proxy.plan = next_ones(cut)
        with pytest.raises(DatabaseError) as raised, atomic(connection):
            run(connection, WRITE, 1)
        errors.append(raised.value)
    connection.close()
    with proxy.refusing(), pytest.raises(DatabaseError) as raised:
        works(connection)
    told = [text for error in (*errors, raised.value) for text in (describe(error), str(error))]
    assert PASSWORD not in "\n".join([*told, log.text])
