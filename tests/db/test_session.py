import asyncio
import logging
import threading

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from session_mgmt.db import (
    DbSession,
    get_database_session,
    get_db_session,
    initialize_database_and_session,
)
from session_mgmt.exceptions import InvalidInputError
from tests.db.conftest import lose_connection

pytestmark = pytest.mark.django_db(transaction=True)


def names():
    return sorted(Group.objects.values_list("name", flat=True))


class Repository:
    """As the seeds build them: on a session that is shared."""

    def __init__(self, session):
        self.session = session

    def create(self, name):
        self.session.add(Group(name=name))


def test_it_commits_on_success():
    with get_db_session() as session:
        session.add(Group(name="a"))
        assert connection.in_atomic_block
    assert names() == ["a"]
    assert not connection.in_atomic_block


def test_it_rolls_back_on_an_error_and_logs_that_without_the_row(caplog):
    with pytest.raises(IntegrityError), get_db_session() as session:
        session.add(Group(name="canary-name"))
        session.add(Group(name="canary-name"))
    assert names() == []
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("Database session error, rolling back: ")
    assert "canary-name" not in caplog.text


def test_query_gives_the_models_own_query_set_that_knows_filter_by():
    User.objects.create_user("johndoe")
    with get_db_session() as session:
        user = session.query(User).filter_by(username="johndoe").first()
        assert user.username == "johndoe"
        assert (
            session.query(User).filter(username__startswith="john").filter_by(pk=user.pk).exists()
        )
        with pytest.raises(InvalidInputError, match="username__startswith"):
            session.query(User).filter_by(username__startswith="john")


def test_commit_in_the_middle_keeps_what_came_before_a_later_error():
    with pytest.raises(ZeroDivisionError), get_db_session() as session:
        session.add(Group(name="a"))
        session.commit()
        session.add(Group(name="b"))
        raise ZeroDivisionError
    assert names() == ["a"]


def test_rollback_in_the_middle_undoes_back_to_the_last_commit():
    with get_db_session() as session:
        session.add(Group(name="a"))
        session.commit()
        session.add(Group(name="b"))
        session.rollback()
        session.add(Group(name="c"))
    assert names() == ["a", "c"]


def test_the_error_handling_of_seed_004_works_as_it_stands():
    with pytest.raises(IntegrityError), get_db_session() as session:
        try:
            session.add(Group(name="a"))
            session.add(Group(name="a"))
            session.commit()
        except Exception:
            session.rollback()
            raise
    assert names() == []


def test_a_nested_session_is_a_savepoint_of_the_outer_one():
    with get_db_session() as outer:
        outer.add(Group(name="outer"))
        with pytest.raises(ZeroDivisionError), get_db_session() as inner:
            inner.add(Group(name="inner"))
            raise ZeroDivisionError
        with outer.savepoint() as point:
            point.add(Group(name="savepoint"))
    assert names() == ["outer", "savepoint"]


def test_only_the_outermost_session_really_commits():
    with pytest.raises(ZeroDivisionError), get_db_session():
        with get_db_session() as inner:
            inner.add(Group(name="inner"))
            inner.commit()
        raise ZeroDivisionError
    assert names() == []


def test_it_is_a_savepoint_inside_atomic_too():
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), get_db_session() as session:
            session.add(Group(name="a"))
            raise ZeroDivisionError
        with get_db_session() as session:
            session.add(Group(name="b"))
    assert names() == ["b"]


def test_two_repositories_share_one_session():
    with pytest.raises(ZeroDivisionError), get_db_session() as session:
        Repository(session).create("a")
        Repository(session).create("b")
        raise ZeroDivisionError
    assert names() == []
    with get_db_session() as session:
        Repository(session).create("a")
        Repository(session).create("b")
    assert names() == ["a", "b"]


def test_a_swallowed_error_is_not_taken_for_success(on_postgresql):
    def swallow(session):
        session.add(Group(name="a"))
        with pytest.raises(IntegrityError):
            session.add(Group(name="a"))

    with pytest.raises(TransactionManagementError, match="swallowed"), get_db_session() as session:
        swallow(session)
    assert names() == []
    with get_db_session() as session:
        with pytest.raises(TransactionManagementError, match="swallowed"):
            swallow_and_commit(session, swallow)
        session.add(Group(name="after"))
    assert names() == ["after"]


def swallow_and_commit(session, swallow):
    swallow(session)
    session.commit()


def test_it_opens_and_gives_back_the_connection(on_postgresql):
    connection.close()
    with get_db_session() as session:
        assert session.query(Group).count() == 0
    assert connection.connection is None
    connection.ensure_connection()
    with get_db_session():
        pass
    assert connection.connection is not None  # somebody else's


def test_close_undoes_and_is_harmless_twice():
    with get_db_session() as session:
        session.add(Group(name="a"))
        session.close()
        session.close()
        with pytest.raises(TransactionManagementError, match="closed"):
            session.query(Group)
        with pytest.raises(TransactionManagementError, match="closed"):
            session.commit()
    assert names() == []


def test_a_session_cannot_be_opened_twice():
    with get_db_session() as session, pytest.raises(TransactionManagementError, match="open"):
        session.open()


def test_entering_tries_again_while_the_server_ends_connections(on_postgresql, settings):
    connection.ensure_connection()
    with pytest.raises(Exception, match=r"terminat|closed"):
        lose_connection()
    connection.close()
    with get_db_session() as session:
        session.add(Group(name="a"))
    assert names() == ["a"]


def test_each_thread_has_a_transaction_of_its_own():
    barrier = threading.Barrier(2)
    failed = []

    def keep():
        with get_db_session() as session:
            if connection.vendor == "postgresql":
                barrier.wait(10)
            session.add(Group(name="kept"))

    def fail():
        try:
            with get_db_session() as session:
                if connection.vendor == "postgresql":
                    barrier.wait(10)
                session.add(Group(name="undone"))
                1 / 0  # noqa: B018 # an error
        except ZeroDivisionError:
            failed.append(True)

    threads = [threading.Thread(target=function) for function in (keep, fail)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed
    assert names() == ["kept"]


def test_another_thread_cannot_use_it():
    errors = []

    def use(session):
        for call in (lambda: session.query(Group), lambda: session.add(Group()), session.commit):
            try:
                call()
            except DatabaseError as error:
                errors.append(str(error))
        connection.close()

    with get_db_session() as session:
        thread = threading.Thread(target=use, args=[session])
        thread.start()
        thread.join()
    assert len(errors) == 3
    assert all("can only be used in that same thread" in error for error in errors)


def test_async_code_uses_it_with_async_with():
    async def main():
        async with get_db_session() as session:
            await session.aadd(Group(name="a"))
            await session.acommit()
            await session.aadd(Group(name="b"))
            await session.arollback()
            async with session.savepoint() as inner:
                await inner.aadd(Group(name="c"))
            return await session.query(Group).filter_by(name="c").acount()

    assert async_to_sync(main)() == 1
    assert names() == ["a", "c"]


def test_an_error_in_async_code_rolls_back():
    async def main():
        async with get_db_session() as session:
            await session.aadd(Group(name="a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async_to_sync(main)()
    assert names() == []


def test_tasks_that_would_interleave_on_one_connection_are_refused():
    async def one(name, opened, go_on):
        async with get_db_session() as session:
            opened.set()
            await session.aadd(Group(name=name))
            await go_on.wait()

    async def main():
        opened, go_on = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(one("first", opened, go_on))
        await opened.wait()
        with pytest.raises(TransactionManagementError, match="Another task"):
            await one("second", asyncio.Event(), go_on)
        go_on.set()
        await first

    async_to_sync(main)()
    assert names() == ["first"]


def test_tasks_one_after_the_other_share_a_connection():
    async def one(name):
        async with get_db_session() as session:
            await session.aadd(Group(name=name))

    async def main():
        async with get_db_session():
            await asyncio.create_task(one("a"))
            await asyncio.create_task(one("b"))

    async_to_sync(main)()
    assert names() == ["a", "b"]


@pytest.mark.parametrize("function", [get_database_session, initialize_database_and_session])
def test_the_seeds_old_names_work_and_warn(function):
    with pytest.warns(DeprecationWarning, match=f"{function.__name__}.*get_db_session"):
        session = function()
    try:
        assert isinstance(session, DbSession)
        session.add(Group(name="a"))
        session.commit()
        session.add(Group(name="b"))
    finally:
        session.close()
    assert names() == ["a"]
