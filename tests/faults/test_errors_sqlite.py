"""What `classify` and `describe` say of SQLite's errors, each provoked for real."""

import sqlite3
from contextlib import closing

import pytest
from django.db import DatabaseError, Error, connections, transaction

from session_mgmt.db.errors import Fault, cause_of, classify, describe
from tests.faults.servers import ON_SQLITE, READ, WRITE, atomic, run, works

pytestmark = ON_SQLITE

ROWS = "INSERT INTO fault_row VALUES (1, 0), (2, 0)"


def entry(name, mode=None, **options):
    options = {"timeout": 0, "transaction_mode": mode, **options}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(name), "OPTIONS": options}


def seen(error, **more):
    return cause_of(error).sqlite_errorname, classify(error, **more)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "faults.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE fault_row (id integer PRIMARY KEY, number integer)")
        connection.execute(ROWS)
    return path


@pytest.fixture
def two(path, add_database):
    """Two connections to one file that has no write-ahead log."""
    return tuple(connections[add_database(alias, entry(path))] for alias in ("one", "other"))


def number_of(connection):
    return run(connection, READ)[0]


def test_a_second_writer_finds_the_database_busy(two):
    one, other = two
    with atomic(one):
        run(one, WRITE, 1)
        with pytest.raises(DatabaseError) as raised, atomic(other):
            run(other, WRITE, 2)
    assert seen(raised.value) == ("SQLITE_BUSY", Fault.TRANSIENT)
    run(other, WRITE, 2)
    assert number_of(one) == 2


def test_a_second_immediate_transaction_finds_the_database_busy(path, two, add_database):
    eager = connections[add_database("eager", entry(path, mode="IMMEDIATE"))]
    with atomic(two[0]):
        run(two[0], WRITE, 1)
        with pytest.raises(DatabaseError) as raised, atomic(eager):
            pytest.fail("the transaction has begun")
    assert seen(raised.value) == ("SQLITE_BUSY", Fault.TRANSIENT)


def test_a_commit_that_waits_for_a_reader_is_busy_and_has_not_happened(two):
    one, other = two
    with atomic(other):
        assert number_of(other) == 0
        with pytest.raises(DatabaseError) as raised, atomic(one):
            run(one, WRITE, 1)
    assert seen(raised.value, committing=True) == ("SQLITE_BUSY", Fault.TRANSIENT)
    assert number_of(one) == number_of(other) == 0
    run(one, WRITE, 1)
    assert number_of(other) == 1


def test_a_reader_that_writes_what_changed_since_is_busy(path, add_database):
    wal = {"init_command": "PRAGMA journal_mode=WAL", "timeout": 30}  # and no patience helps
    one = connections[add_database("one", entry(path, **wal))]
    other = connections[add_database("other", entry(path, **wal))]
    with pytest.raises(DatabaseError) as raised, atomic(one):
        assert number_of(one) == 0
        run(other, WRITE, 1)
        run(one, WRITE, 1)
    assert seen(raised.value) == ("SQLITE_BUSY_SNAPSHOT", Fault.TRANSIENT)
    run(one, WRITE, 1)
    assert number_of(other) == 2


def test_a_table_in_a_shared_cache_is_locked(add_database, request):
    name = f"file:{request.node.name}?mode=memory&cache=shared"
    one = connections[add_database("one", entry(name))]
    with closing(sqlite3.connect(name, uri=True)):  # in memory it lasts as long as somebody has it
        run(one, "CREATE TABLE fault_row (id integer PRIMARY KEY, number integer)")
        run(one, ROWS)
        other = connections[add_database("other", entry(name))]
        with atomic(one):
            run(one, WRITE, 1)
            with pytest.raises(DatabaseError) as raised:
                number_of(other)
        assert seen(raised.value) == ("SQLITE_LOCKED_SHAREDCACHE", Fault.TRANSIENT)
        assert number_of(other) == 1
    for connection in (one, other):
        connection.connection.close()  # Django leaves a database in memory open


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("SQLITE_CONSTRAINT_PRIMARYKEY", ROWS),
        ("SQLITE_ERROR", "SELEC"),
        ("SQLITE_ERROR", "SELECT * FROM nowhere"),
        ("SQLITE_ERROR", "SELECT json('{')"),
        ("SQLITE_READONLY", "PRAGMA query_only = 1; DELETE FROM fault_row"),
    ],
)
def test_an_error_of_the_statement_is_permanent(two, name, sql):
    *before, last = sql.split("; ")
    for statement in before:
        run(two[0], statement)
    with pytest.raises(DatabaseError) as raised:
        run(two[0], last)
    assert seen(raised.value, committing=True) == (name, Fault.PERMANENT)
    assert describe(raised.value) == str(raised.value)


def test_a_file_that_cannot_be_opened_is_permanent(tmp_path, add_database):
    connection = connections[add_database("one", entry(tmp_path / "nowhere" / "x.sqlite3"))]
    with pytest.raises(DatabaseError) as raised:
        works(connection)
    assert seen(raised.value) == ("SQLITE_CANTOPEN", Fault.PERMANENT)


def test_a_file_that_is_no_database_is_permanent(tmp_path, add_database):
    (tmp_path / "letter").write_text("Dear Anna, " * 100, encoding="ascii")
    connection = connections[add_database("one", entry(tmp_path / "letter"))]
    with pytest.raises(DatabaseError) as raised:
        number_of(connection)
    assert seen(raised.value) == ("SQLITE_NOTADB", Fault.PERMANENT)


# What Python's half of the module raises has no code


def test_text_that_is_no_text_is_permanent_and_is_not_described(two):
    with pytest.raises(DatabaseError) as raised:
        run(two[0], "SELECT CAST(x'63616E617279ff' AS text)")
    assert "canary" in str(raised.value)
    assert classify(raised.value) is Fault.PERMANENT
    assert describe(raised.value) == "OperationalError"


def test_a_closed_connection_is_permanent(two):
    assert works(two[0])
    two[0].connection.close()
    with pytest.raises(Error) as raised:
        works(two[0])
    assert classify(raised.value) is Fault.PERMANENT
    two[0].connection = None


def test_a_parameter_of_an_unknown_type_is_permanent(two):
    with pytest.raises(Error) as raised:
        run(two[0], "SELECT %s", object())
    assert classify(raised.value) is Fault.PERMANENT


def test_a_broken_atomic_block_is_permanent(two):
    with atomic(two[0]):
        transaction.set_rollback(True, using=two[0].alias)
        with pytest.raises(transaction.TransactionManagementError) as raised:
            works(two[0])
    assert classify(raised.value) is Fault.PERMANENT
