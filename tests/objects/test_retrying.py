"""Methods that repeat themselves, called by threads and tasks that share an object."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from session_mgmt import ConfigurationError, SessionLockError
from session_mgmt.models import StoredObject
from session_mgmt.objects import InvocationRequest, OaasObject, OaasService, get_global_oaas, oaas
from tests.objects.counting import Tally, change_by_another, in_threads, new_tally
from tests.objects.obstacles import in_progress
from tests.objects.test_interleavings import failing_scope, row_of


@oaas.service("Bag", package="tests")
class Bag(OaasObject):
    items: list[int] = []

    def __len__(self):
        return len(self.items)

    @oaas.method
    def put(self, number: int) -> int:
        self.items.append(number)
        return number

    @oaas.method
    def put_and_fail(self, number: int) -> int:
        self.put(number)
        raise ValueError("no")

    @oaas.method(stateless=True)
    def put_nowhere(self, number: int) -> int:
        return self.put(number)

    @oaas.method
    def look(self, number: int) -> int:
        return number + len(self.items)


@oaas.service("Repeater", package="tests")
class Repeater(Tally):
    @oaas.method(retry_on_conflict=True)
    def twice(self):
        self.surely_increment()
        assert row_of(self)["count"] < self.count
        self.surely_increment()

    @oaas.method(retry_on_conflict=True)
    async def wait(self, begun, go_on):
        self.count += 100
        begun.set()
        await go_on.wait()

    @oaas.method(retry_on_conflict=True)
    async def ask_others(self, number):
        await asyncio.gather(*(self.surely_increment_async() for _ in range(number)))

    @oaas.method(retry_on_conflict=True)
    def disturbed(self, others, times):
        self.count += 1
        if (others.count, others.notes) != (0, []):
            raise AssertionError("an undone attempt has left something behind")
        others.count += 1
        others.notes.append("x")
        if times:
            times.pop()
            change_of(self)


def change_of(obj):
    """Let somebody else change an object."""
    session = get_global_oaas().new_session()
    session.load_object(type(obj).__cls_meta__, obj.object_id).count += 10
    session.commit()


def run(main):
    """Run a coroutine function and leave no connection of its thread behind."""

    async def work():
        try:
            return await asyncio.wait_for(main(), 30)
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(work())


def new_repeater():
    repeater = Repeater.create()
    repeater.session.commit()
    return repeater


# They take turns


def test_tasks_that_share_an_object_take_turns_and_lose_nothing(store):
    tally = new_tally()

    async def main():
        return await asyncio.gather(*(tally.surely_increment_async() for _ in range(8)))

    assert sorted(run(main)) == [*range(1, 9)]
    assert row_of(tally)["count"] == tally.count == 8


def test_threads_that_share_an_object_take_turns_and_lose_nothing(store):
    tally = new_tally()

    def count():
        return [tally.surely_increment() for _ in range(10)]

    results = in_threads(count, [()] * 4)
    assert sorted(number for part in results for number in part) == [*range(1, 41)]
    assert row_of(tally)["count"] == tally.count == 40


def test_threads_that_share_an_object_lose_nothing_to_those_who_have_a_copy(store):
    tally = new_tally()

    def shared():
        for _ in range(10):
            tally.surely_increment()

    def copied():
        copy = Tally.load(tally.object_id)
        for _ in range(10):
            copy.surely_increment()

    in_threads(lambda work: work(), [(shared,), (copied,), (shared,), (copied,)])
    assert row_of(tally)["count"] == 40


def test_what_a_failed_scope_of_another_task_undoes_is_its_own_alone(store):
    tally = new_tally()

    async def main():
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def fail():
            async with tally.session.scope():
                tally.count += 100
                inside.set()
                await go_on.wait()
                1 / 0  # noqa: B018

        failing = asyncio.create_task(fail())
        await inside.wait()
        counting = asyncio.create_task(tally.surely_increment_async())
        go_on.set()
        with pytest.raises(ZeroDivisionError):
            await failing
        return await counting

    assert run(main) == 1
    assert row_of(tally)["count"] == tally.count == 1


def test_a_thread_waits_for_the_scope_of_another_one_and_is_committed_after_it(store):
    tally = new_tally()

    def scope(begun, go_on):
        with tally.session.scope():
            tally.increment(100)
            begun.set()
            assert go_on.wait(30)

    counted = threading.Thread(target=in_threads, args=(tally.surely_increment, [()]))
    with in_progress(scope):
        counted.start()
        assert row_of(tally)["count"] == 0
    counted.join()
    assert row_of(tally)["count"] == 101


def test_after_the_budget_who_cannot_have_a_turn_is_told_and_has_changed_nothing(store, settings):
    settings.SESSION_MGMT = {"RETRY_BUDGET": 0.3}
    tally = new_tally()
    with tally.session.scope():
        tally.increment()
        began = time.monotonic()
        with pytest.raises(SessionLockError):
            in_threads(tally.surely_increment, [()])
        assert 0.1 < time.monotonic() - began < 10
    assert row_of(tally)["count"] == 1
    assert tally.surely_increment() == 2


def test_a_task_that_a_method_starts_and_waits_for_is_told_after_the_budget(store, settings):
    settings.SESSION_MGMT = {"RETRY_BUDGET": 0.3}
    repeater = new_repeater()
    with pytest.raises(SessionLockError):
        run(lambda: repeater.ask_others(1))
    assert row_of(repeater)["count"] == repeater.count == 0
    assert repeater.surely_increment() == 1


# Joins


def test_a_method_that_calls_another_one_is_committed_as_one_with_it(store):
    repeater = new_repeater()
    repeater.twice()
    assert row_of(repeater)["count"] == 2


def test_in_a_scope_of_its_own_it_is_committed_and_undone_by_that(store):
    tally = new_tally()
    with failing_scope():
        tally.surely_increment()
        assert row_of(tally)["count"] == 0
    assert tally.count == 0
    with OaasService.session_scope():
        tally.surely_increment()
    assert row_of(tally)["count"] == 1


def test_what_a_lost_attempt_has_changed_in_other_objects_is_undone_each_time(store):
    repeater, other = new_repeater(), new_tally()
    repeater.disturbed(other, [1, 2, 3])
    assert row_of(repeater)["count"] == 31
    assert row_of(other) == {"count": 1, "notes": ["x"]}


def test_an_object_that_was_changed_by_others_is_read_before_it_runs(store):
    tally = new_tally()
    change_by_another(tally, by=5)
    assert tally.surely_increment() == 6


@pytest.mark.parametrize("call", [sync_to_async, lambda work: lambda: asyncio.to_thread(work)])
def test_plain_work_of_a_task_in_another_thread_is_committed_or_undone_by_its_scope(store, call):
    async def main():
        async with OaasService.session_scope():
            kept = await call(Tally.create)()
            await call(kept.increment)()
            await call(kept.surely_increment)()
        with suppress(ZeroDivisionError):
            async with OaasService.session_scope():
                undone = await call(Tally.create)()
                1 / 0  # noqa: B018
        await sync_to_async(connections.close_all)()
        return kept, undone

    kept, undone = asyncio.run(main())
    OaasService.commit_all()
    assert (row_of(kept)["count"], row_of(undone)) == (2, None)


# Cancelled


def test_a_cancelled_method_takes_back_what_it_has_changed_and_gives_its_turn_away(store):
    repeater = new_repeater()

    async def main():
        begun = asyncio.Event()
        waiting = asyncio.create_task(repeater.wait(begun, asyncio.Event()))
        await begun.wait()
        next_one = asyncio.create_task(repeater.surely_increment_async())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return await next_one

    assert run(main) == 1
    assert row_of(repeater)["count"] == repeater.count == 1


def test_one_that_is_cancelled_while_it_waits_for_its_turn_disturbs_nobody(store):
    repeater = new_repeater()

    async def main():
        begun, go_on = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(repeater.wait(begun, go_on))
        await begun.wait()
        second = asyncio.create_task(repeater.surely_increment_async())
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        await first

    run(main)
    assert row_of(repeater)["count"] == 100
    assert repeater.surely_increment() == 101


def test_one_that_is_cancelled_while_it_reads_its_object_leaves_no_scope_open(store):
    tally = new_tally()

    async def main():
        busy, go_on = threading.Event(), threading.Event()

        def keep_the_thread():
            busy.set()
            assert go_on.wait(30)

        keeping = asyncio.create_task(sync_to_async(keep_the_thread)())
        while not busy.is_set():
            await asyncio.sleep(0.01)
        counting = asyncio.create_task(tally.surely_increment_async())
        await asyncio.sleep(0)
        counting.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await counting
        await keeping
        async with tally.session.scope():
            tally.count = 77

    run(main)
    assert row_of(tally)["count"] == 77


# Methods of any kind


@pytest.mark.parametrize("retry", [False, True])
def test_a_generator_is_no_method(retry):
    def plain(self):
        yield self

    async def asynchronous(self):
        yield self

    for function in (plain, asynchronous):
        with pytest.raises(ConfigurationError, match="generator"):
            oaas.method(retry_on_conflict=retry)(function)


@pytest.mark.parametrize(
    ("method", "kept"),
    [("put", [[5]]), ("put_and_fail", []), ("put_nowhere", []), ("look", [])],
)
def test_a_request_keeps_a_new_object_only_if_it_has_changed_it_and_not_failed(
    by_hand, method, kept
):
    OaasService.get_session().fn_rpc(InvocationRequest("tests.Bag", method, payload=b"5"))
    OaasService.commit_all()
    assert [row.state["items"] for row in StoredObject.objects.all()] == kept


def test_an_object_that_is_false_is_still_the_same_when_it_is_loaded_again(store):
    bag = Bag.create()
    bag.session.commit()
    assert not bag
    assert Bag.load(bag.object_id) is bag
