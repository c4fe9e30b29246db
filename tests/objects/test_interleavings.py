"""Scopes, rollbacks, refreshes, deletes and the flusher, while other commits come in between."""

import asyncio
import json
import threading
from contextlib import contextmanager, suppress

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created

from session_mgmt import ObjectNotFoundError, SessionLockError, StaleObjectError
from session_mgmt.db import run_in_transaction
from session_mgmt.db.flusher import FLUSHER
from session_mgmt.db.write_behind import flush
from session_mgmt.models import StoredObject
from session_mgmt.objects import OaasService, get_global_oaas
from session_mgmt.objects.commits import Batch
from tests.db.conftest import fail_transiently
from tests.objects.conftest import configured
from tests.objects.counting import (
    Tally,
    change_by_another,
    copy_of,
    count_of,
    counts,
    in_threads,
    new_tally,
    state_of,
)
from tests.processes import wait_until

NEVER = 3600.0
ONE_WRITER = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite locks the whole database for a transaction"
)


def row_of(obj):
    """Return what is stored of an object, in memory or in the database; None if nothing is."""
    rows = obj.session.data_manager.read(obj.meta.cls_id, obj.partition_id, [obj.object_id])
    return json.loads(rows[obj.object_id].state) if rows else None


@contextmanager
def failing_scope():
    """Open a scope that fails at its end."""
    with pytest.raises(ZeroDivisionError), OaasService.session_scope() as session:
        yield session
        1 / 0  # noqa: B018


@contextmanager
def rolled_back():
    """Open a transaction that is rolled back at its end."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def refuses(obj):
    """Tell whether an object takes no change until it is refreshed; then refresh it."""
    with pytest.raises(StaleObjectError, match="rolled back"):
        obj.count += 1
    with pytest.raises(StaleObjectError, match="rolled back"):
        obj.session.commit()
    obj.refresh()
    return True


# Scopes that fail


@pytest.mark.parametrize("read", [Tally.refresh, lambda one: Tally.load(one.object_id)])
@pytest.mark.parametrize("use", [lambda one: one.notes, Tally.increment, lambda one: None])
def test_what_a_failed_scope_had_read_anew_is_not_overwritten_afterwards(store, read, use):
    tally = new_tally(count=1)
    with failing_scope():
        use(tally)
        change_by_another(tally, by=99)
        read(tally)
    tally.notes.append("later")
    with suppress(StaleObjectError):
        tally.session.commit()
    assert row_of(tally)["count"] == 100


def test_a_failed_scope_keeps_a_new_object_that_it_had_deleted(store):
    tally = Tally.create()
    tally.increment(5)
    with failing_scope():
        tally.delete()
    tally.session.commit()
    assert row_of(tally)["count"] == tally.count == 5


def test_a_failed_scope_keeps_a_stored_object_that_it_had_deleted(store):
    tally = new_tally()
    with failing_scope():
        tally.delete()
    tally.increment()
    tally.session.commit()
    assert row_of(tally)["count"] == 1


def test_a_delete_that_was_committed_inside_of_a_failed_scope_stays(store):
    tally = new_tally()
    with failing_scope() as session:
        tally.delete()
        session.commit()
    assert row_of(tally) is None
    with pytest.raises(ObjectNotFoundError):
        tally.increment()


def test_a_failed_scope_takes_back_what_was_put_into_a_list_held_since_before(store):
    tally = new_tally()
    notes = tally.notes
    with failing_scope():
        notes.append("inside")
    assert tally.notes == []
    tally.session.commit()
    assert row_of(tally)["notes"] == []


def test_a_failed_scope_goes_back_to_its_commit_and_later_changes_inside_of_lists_keep_it(store):
    tally = new_tally()
    with failing_scope() as session:
        tally.increment()
        session.commit()
        tally.increment()
    tally.notes.append("later")
    tally.session.commit()
    assert row_of(tally) == {"count": 1, "notes": ["later"]}


def test_a_commit_inside_of_a_failed_scope_that_is_rolled_back_leaves_a_stale_object(by_hand):
    tally = new_tally()
    with failing_scope() as session:
        tally.increment()
        with rolled_back():
            session.commit()
    assert refuses(tally)
    assert tally.count == count_of(tally) == 0


def test_a_scope_covers_one_partition(store):
    with failing_scope():
        mine, theirs = Tally.create(), Tally.create(partition_id=7)
    OaasService.commit_all()
    assert (row_of(mine), row_of(theirs)) == (None, {"count": 0, "notes": []})


def test_a_scope_in_a_session_of_another_thread_is_refused_and_the_open_one_goes_on(store):
    tally = new_tally()

    def enter():
        with pytest.raises(SessionLockError), tally.session.scope():
            tally.increment(100)

    with tally.session.scope():
        tally.increment()
        in_threads(enter, [()])
        tally.increment()
    assert row_of(tally)["count"] == 2
    with tally.session.scope():
        tally.increment()
    assert row_of(tally)["count"] == 3


def test_a_scope_in_a_session_of_another_task_is_refused_and_the_open_one_goes_on(store):
    tally = new_tally()

    async def enter():
        with pytest.raises(SessionLockError):
            async with tally.session.scope():
                tally.increment(100)

    async def main():
        async with tally.session.scope():
            tally.increment()
            await asyncio.create_task(enter())
            tally.increment()
        await sync_to_async(connections.close_all)()

    asyncio.run(main())
    assert row_of(tally)["count"] == 2


# Transactions that roll back


def test_what_was_read_from_a_transaction_that_was_rolled_back_is_refused(by_hand):
    tally = new_tally(count=1)
    with rolled_back():
        ghost = copy_of(tally)
        ghost.increment(99)
        ghost.session.commit()
        tally.refresh()
        assert tally.count == 100
    tally.increment()
    with pytest.raises(StaleObjectError):
        tally.session.commit()
    assert count_of(tally) == 1


def test_a_rollback_to_an_outer_savepoint_takes_back_what_an_inner_one_kept(by_hand):
    tally, other = new_tally(), new_tally()
    with transaction.atomic():
        with rolled_back(), transaction.atomic():
            tally.increment()
            tally.session.commit()
        other.increment()
        assert refuses(tally)
        tally.increment(5)
        tally.session.commit()
    assert (count_of(tally), count_of(other)) == (5, 1)


@ONE_WRITER
def test_a_function_that_does_not_load_again_is_refused_when_its_transaction_is_repeated(by_hand):
    tally, attempts = new_tally(), []
    tally.increment()

    def work():
        tally.session.commit()
        attempts.append(1)
        if len(attempts) == 1:
            fail_transiently()

    with pytest.raises(StaleObjectError, match="rolled back"):
        run_in_transaction(work)
    assert count_of(tally) == 0


@ONE_WRITER
def test_commit_all_writes_the_work_of_other_threads_though_the_callers_transaction_fails(by_hand):
    (tally,) = in_threads(Tally.create, [()])
    with rolled_back():
        OaasService.commit_all()
    assert counts() == {tally.object_id: 0}
    tally.increment()
    tally.session.commit()
    assert counts() == {tally.object_id: 1}


def test_an_assignment_that_is_written_at_once_is_written_again_after_a_rollback(by_hand, settings):
    settings.SESSION_MGMT = {**settings.SESSION_MGMT, "FLUSH_INTERVAL": 0}
    configured()
    tally = Tally.create()
    assert counts() == {tally.object_id: 0}
    with rolled_back():
        tally.count = 5
        assert count_of(tally) == 5
    OaasService.commit_all()
    assert count_of(tally) == tally.count == 5


def test_the_flusher_writes_nothing_of_what_was_committed_and_rolled_back(in_background):
    tally = new_tally()
    flush()
    with rolled_back():
        tally.increment()
        tally.session.commit()
        tally.increment()
    flush()
    assert count_of(tally) == 0
    assert refuses(tally)


# Deletes


def test_a_deleted_object_takes_no_assignment_and_a_second_delete_is_harmless(store):
    tally = new_tally()
    for _ in range(2):
        tally.delete()
        with pytest.raises(ObjectNotFoundError, match="Tally"):
            tally.count = 5
    tally.session.commit()
    tally.delete()
    tally.session.commit()
    assert row_of(tally) is None


def test_a_copy_that_was_deleted_does_not_come_back_beside_one_with_its_id(store):
    deleted = new_tally()
    deleted.delete()
    deleted.session.commit()
    tally = Tally.create(deleted.object_id)
    tally.session.commit()
    with pytest.raises(ObjectNotFoundError):
        deleted.refresh()
    tally.increment()
    tally.session.commit()
    assert Tally.load(deleted.object_id) is tally
    assert row_of(tally)["count"] == 1


def test_an_object_that_others_had_deleted_too_may_be_made_again(in_background):
    tally = new_tally()
    flush()
    StoredObject.objects.all().delete()
    tally.delete()
    flush()
    session = get_global_oaas().new_session()
    session.create_object(Tally.__cls_meta__, tally.object_id).increment(7)
    session.commit()
    assert Tally.load(tally.object_id).count == 7
    assert in_background._kept == set()


# The flusher


@contextmanager
def flusher_stops_after(word):
    """Stop the flusher after its next statement that begins so; give what begins and ends that."""
    stopped, go_on = threading.Event(), threading.Event()

    def wait(execute, sql, *rest):
        result = execute(sql, *rest)
        if sql.strip().startswith(word) and not stopped.is_set():
            stopped.set()
            assert go_on.wait(30)
        return result

    def watch(connection, **_):
        if threading.current_thread() is FLUSHER.thread:
            connection.execute_wrappers.append(wait)

    connection_created.connect(watch)
    try:
        yield stopped, go_on
    finally:
        go_on.set()
        connection_created.disconnect(watch)
        flush()


@ONE_WRITER
def test_a_delete_that_was_committed_stays_though_the_flusher_was_about_to_insert(in_background):
    with flusher_stops_after("INSERT") as (stopped, go_on):
        tally = Tally.create()
        assert stopped.wait(30)
        in_background.set_auto_commit_interval(NEVER)
        asked = FLUSHER._asked
        tally.delete()
        thread = threading.Thread(target=in_threads, args=(tally.session.commit, [()]))
        thread.start()
        wait_until(lambda: FLUSHER._asked > asked or not thread.is_alive())
        go_on.set()
        thread.join()
        wait_until(lambda: not any(lane.taken for lane in FLUSHER.lanes))
        assert counts() == {}


def test_a_refresh_that_the_flusher_overtakes_loses_nothing_that_is_stored(by_hand):
    configured(auto_commit_interval=NEVER)
    tally = new_tally()
    tally.notes.append("n")

    def overtaken(execute, *rest):
        result = execute(*rest)
        flush()
        return result

    with connection.execute_wrapper(overtaken):
        tally.refresh()
    tally.count = 5
    with suppress(StaleObjectError):
        tally.session.commit()
    assert state_of(tally)["notes"] == ["n"]


def test_a_commit_that_is_told_of_late_does_not_bring_back_what_was_before(store):
    tally = new_tally()
    tally.increment()
    late = tally.session._unit.prepare()
    keeper = tally.session.data_manager
    changes = [one.change for one in late]
    keeper.transact(tally.session._place, lambda: keeper.apply("default", changes, wait=True))
    tally.increment()
    tally.session.commit()
    Batch(keeper, tally.session._place, late).settle()
    with failing_scope():
        tally.increment()
    tally.notes.append("x")
    tally.session.commit()
    assert row_of(tally) == {"count": 2, "notes": ["x"]}
