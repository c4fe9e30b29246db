"""Nobody ends a transaction of somebody else, and none is left open."""

import asyncio
import threading
from contextlib import suppress

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from session_mgmt.db import db_retry, get_db_session, run_in_transaction
from session_mgmt.exceptions import ConfigurationError
from tests.db.conftest import fail_transiently

pytestmark = pytest.mark.django_db(transaction=True)


def names():
    return sorted(Group.objects.values_list("name", flat=True))


@pytest.fixture(autouse=True)
def nothing_left_open():
    yield
    assert not connection.in_atomic_block
    assert connection.execute_wrappers == []


@pytest.mark.parametrize("method", ["commit", "rollback"])
def test_a_session_cannot_be_ended_inside_a_block_that_is_open_in_it(method):
    with get_db_session() as session:
        session.add(Group(name="before"))
        with transaction.atomic():
            session.add(Group(name="inside"))
            with pytest.raises(TransactionManagementError, match="inside this one"):
                getattr(session, method)()
    assert names() == ["before", "inside"]


def test_an_outer_session_cannot_be_committed_under_an_inner_one():
    with get_db_session() as outer, get_db_session() as inner:
        inner.add(Group(name="a"))
        with pytest.raises(TransactionManagementError, match="inside this one"):
            outer.commit()
    assert names() == ["a"]


def test_an_inner_session_that_outlives_the_outer_one_saves_nothing():
    outer, inner = get_db_session().open(), None
    inner = get_db_session().open()
    inner.add(Group(name="lost"))
    outer.close()
    with pytest.raises(TransactionManagementError, match="ended by somebody else"):
        inner.add(Group(name="not in autocommit"))
    with pytest.raises(TransactionManagementError, match="ended by somebody else"):
        inner.commit()
    inner.close()
    assert names() == []


def test_work_that_leaves_a_session_open_is_not_taken_for_success():
    def work():
        get_db_session().open().add(Group(name="a"))

    with pytest.raises(TransactionManagementError, match="still open"):
        run_in_transaction(work)
    run_in_transaction(lambda: Group.objects.create(name="later"))
    assert names() == ["later"]


def test_a_task_that_commits_for_another_leaves_it_its_session():
    async def main():
        async with get_db_session() as session:
            await session.aadd(Group(name="a"))
            await asyncio.create_task(session.acommit())
            async with session.savepoint() as inner:
                await inner.aadd(Group(name="b"))

    async_to_sync(main)()
    assert names() == ["a", "b"]


def test_a_transaction_of_one_task_does_not_join_the_session_of_another():
    async def hold(opened, go_on):
        async with get_db_session() as session:
            await session.aadd(Group(name="held"))
            opened.set()
            await go_on.wait()

    async def main():
        opened, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(hold(opened, go_on))
        await opened.wait()
        with pytest.raises(TransactionManagementError, match="Another task"):
            await sync_to_async(run_in_transaction)(lambda: Group.objects.create(name="joined"))
        go_on.set()
        await task

    async_to_sync(main)()
    assert names() == ["held"]


@pytest.mark.parametrize("moment", ["entering", "leaving"])
def test_a_cancelled_task_leaves_no_transaction_behind(moment):
    busy, go_on = threading.Event(), threading.Event()

    def block_the_thread():
        busy.set()
        go_on.wait(10)

    async def use():
        async with get_db_session() as session:
            await session.aadd(Group(name="a"))
            if moment == "leaving":
                await inside.put(None)
                await released.wait()

    inside, released = asyncio.Queue(), asyncio.Event()

    async def main():
        if moment == "entering":
            blocker = asyncio.create_task(sync_to_async(block_the_thread)())
            await asyncio.to_thread(busy.wait, 10)
            task = asyncio.create_task(use())
            await asyncio.sleep(0)
        else:
            task = asyncio.create_task(use())
            await inside.get()
            blocker = asyncio.create_task(sync_to_async(block_the_thread)())
            await asyncio.to_thread(busy.wait, 10)
            released.set()
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await blocker
        with pytest.raises(asyncio.CancelledError):
            await task
        return await sync_to_async(lambda: connection.in_atomic_block)()

    assert async_to_sync(main)() is False
    run_in_transaction(lambda: Group.objects.create(name="after"))
    assert "after" in names()


def test_a_decorated_function_called_twice_is_not_repeated():
    calls = []

    @transaction.atomic
    def write(name, fail=None):
        Group.objects.create(name=name)

    @db_retry
    def work():
        calls.append(1)
        write(f"first {len(calls)}")
        write(f"second {len(calls)}")
        fail_transiently()

    with pytest.raises(OperationalError):
        work()
    assert len(calls) == 1
    assert names() == ["first 1", "second 1"]


def test_a_lock_error_that_was_survived_and_raised_later_repeats_nothing():
    calls = []

    @db_retry
    def work():
        calls.append(1)
        survived = None
        try:
            fail_transiently()
        except OperationalError as error:
            survived = error
        with transaction.atomic():
            Group.objects.create(name=f"committed {len(calls)}")
        raise survived

    with pytest.raises(OperationalError):
        work()
    assert names() == ["committed 1"]


def test_an_inner_unit_that_was_given_up_is_not_tried_again_outside():
    calls = []

    def fail():
        calls.append(1)
        fail_transiently_anywhere()

    with pytest.raises(OperationalError):
        db_retry(lambda: run_in_transaction(fail))()
    assert len(calls) == 4


def fail_transiently_anywhere():
    if connection.vendor == "postgresql":
        fail_transiently()
    error = OperationalError("database is locked")
    error.sqlite_errorcode = 5  # no rival can lock what this transaction has locked
    raise error


def test_a_coroutine_is_not_taken_for_the_work_that_it_would_do():
    async def work():
        pass

    with pytest.raises(TypeError, match="only begun"):
        run_in_transaction(lambda: work(), token="t")
    assert run_in_transaction(lambda: "done", token="t") == "done"


def test_a_database_without_autocommit_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)
    with pytest.raises(ConfigurationError, match=r"DATABASES\['default'\]\['AUTOCOMMIT'\]"):
        run_in_transaction(lambda: 1)


def test_a_statement_that_ends_the_transaction_itself_is_not_taken_for_success():
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite has statements that roll back by themselves")

    def work():
        Group.objects.create(name="a")
        with connection.cursor() as cursor, suppress(IntegrityError):
            cursor.execute("INSERT OR ROLLBACK INTO auth_group (name) VALUES ('a')")

    with pytest.raises(TransactionManagementError):
        run_in_transaction(work)
    assert names() == []
