"""Sessions of asyncio tasks: each its own, whole when cancelled, and no burden for the loop."""

import asyncio
import gc
from weakref import WeakSet

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from session_mgmt import StaleObjectError
from session_mgmt.db.write_behind import flush
from session_mgmt.objects import OaasService, oaas
from tests.objects.conftest import configured
from tests.objects.counting import Tally, change_by_another, count_of, counts, new_tally, state_of
from tests.objects.obstacles import row_locked

NEVER = 3600.0


@oaas.service("Sleeper", package="tests")
class Sleeper(Tally):
    @oaas.method
    async def count_twice(self, begun, go_on):
        self.count += 1
        begun.set()
        await go_on.wait()
        self.count += 1

    @oaas.method(retry_on_conflict=True)
    async def surely_count_after(self, begun, go_on):
        self.count += 1
        begun.set()
        await go_on.wait()


@pytest.fixture(autouse=True)
def _settled(transactional_db):
    yield
    OaasService.shutdown()
    flush()


def run(main):
    """Run a coroutine function and leave no connection of its thread behind."""

    async def work():
        try:
            return await asyncio.wait_for(main(), 60)
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(work())


# Each task has its own


def test_each_task_has_a_session_of_its_own(by_hand):
    async def sessions():
        first = OaasService.get_session()
        await asyncio.sleep(0)
        assert OaasService.get_session() is first
        return first

    async def main():
        return [await sessions(), *await asyncio.gather(*(sessions() for _ in range(3)))]

    assert len({id(session) for session in run(main)}) == 4


def test_a_thousand_tasks_leave_nothing_but_their_rows(in_background):
    seen = WeakSet()

    async def task():
        tally = Tally.create()
        await tally.surely_increment_async()
        tally.increment()
        seen.update([tally, tally.session])

    async def main():
        for _ in range(20):
            await asyncio.gather(*(asyncio.create_task(task()) for _ in range(50)))

    run(main)
    flush()
    gc.collect()
    assert [*counts().values()] == [2] * 1_000
    assert list(seen) == []


def test_scopes_of_two_tasks_do_not_commit_or_undo_each_others_changes(by_hand):
    first, second = new_tally(), new_tally()

    async def main():
        both_inside, second_failed = asyncio.Barrier(2), asyncio.Event()

        async def good():
            async with OaasService.session_scope():
                tally = await Tally.aload(first.object_id)
                tally.increment()
                await both_inside.wait()
                await second_failed.wait()
                assert tally.count == 1
                assert await stored() == {first.object_id: 0, second.object_id: 0}
            return await stored()

        async def bad():
            tally = await Tally.aload(second.object_id)
            with pytest.raises(ZeroDivisionError):
                async with OaasService.session_scope():
                    tally.increment()
                    await both_inside.wait()
                    1 / 0  # noqa: B018
            assert tally.count == 0
            second_failed.set()

        return (await asyncio.gather(good(), bad()))[0]

    assert run(main) == {first.object_id: 1, second.object_id: 0}


async def stored():
    return await sync_to_async(counts)()


# What there is for async code


def test_objects_are_loaded_changed_refreshed_and_committed(by_hand):
    async def main():
        made = [Tally.create() for _ in range(3)]
        session = OaasService.get_session()
        await session.commit_async()
        made[0].increment()
        assert (await stored())[made[0].object_id] == 0
        await session.commit_async()
        assert (await stored())[made[0].object_id] == 1
        await sync_to_async(change_by_another)(made[0], by=4)
        assert (await Tally.aload(made[0].object_id)).count == 5
        await sync_to_async(change_by_another)(made[1], by=7)
        await made[1].arefresh()
        assert made[1].count == 7
        wanted = [one.object_id for one in made[::-1]]
        assert [one.object_id for one in await Tally.aload_many(wanted)] == wanted

    run(main)


def test_a_conflict_comes_out_of_commit_async_and_of_a_scope(by_hand):
    tally = new_tally()

    async def main():
        copy = await Tally.aload(tally.object_id)
        await sync_to_async(change_by_another)(tally)
        copy.increment()
        with pytest.raises(StaleObjectError):
            await OaasService.get_session().commit_async()
        await copy.arefresh()
        with pytest.raises(StaleObjectError):
            async with OaasService.session_scope():
                copy.increment()
                await sync_to_async(change_by_another)(tally)
        assert copy.count == 1

    run(main)
    assert count_of(tally) == 2


def test_commit_all_async_commits_what_is_complete_and_no_half_of_other_tasks(by_hand):
    sleeper, scoped = Sleeper.create(), new_tally()

    async def main():
        begun, inside, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def method():
            await (await Sleeper.aload(sleeper.object_id)).count_twice(begun, go_on)

        async def scope():
            async with OaasService.session_scope():
                (await Tally.aload(scoped.object_id)).increment()
                inside.set()
                await go_on.wait()

        async def complete():
            return Tally.create()

        tasks = [asyncio.create_task(method()), asyncio.create_task(scope())]
        made = await asyncio.create_task(complete())
        mine = Tally.create()
        await asyncio.gather(begun.wait(), inside.wait())
        await OaasService.commit_all_async()
        new = {made.object_id: 0, mine.object_id: 0}
        assert await stored() == {sleeper.object_id: 0, scoped.object_id: 0, **new}
        go_on.set()
        await asyncio.gather(*tasks)
        await OaasService.commit_all_async()
        assert await stored() == {sleeper.object_id: 2, scoped.object_id: 1, **new}

    run(main)


def test_an_async_method_is_not_committed_by_half_in_the_background():
    configured(auto_commit_interval=NEVER)

    async def main():
        begun, go_on = asyncio.Event(), asyncio.Event()
        sleeper = Sleeper.create()
        await sleeper.session.commit_async()
        method = asyncio.create_task(sleeper.count_twice(begun, go_on))
        await begun.wait()
        await asyncio.to_thread(flush)
        assert await stored() == {sleeper.object_id: 0}
        go_on.set()
        await method
        await asyncio.to_thread(flush)
        assert await stored() == {sleeper.object_id: 2}

    run(main)


# Waiting for somebody's lock


async def commit(tally):
    tally.increment()
    await tally.session.commit_async()


async def scope(tally):
    async with OaasService.session_scope():
        tally.increment()


async def method(tally):
    await tally.surely_increment_async()


async def commit_all(tally):
    tally.increment()
    await OaasService.commit_all_async()


WAYS = pytest.mark.parametrize("way", [commit, scope, method, commit_all])


@WAYS
def test_the_loop_goes_on_while_a_commit_waits_for_a_row(by_hand, way):
    tally = new_tally()

    async def main():
        async def task():
            await way(await Tally.aload(tally.object_id))

        waiting = asyncio.create_task(task())
        for _ in range(50):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        go_on.set()
        await waiting

    with row_locked(tally) as go_on:
        run(main)
    assert count_of(tally) == 1


@WAYS
def test_a_cancelled_commit_ends_and_what_the_task_knows_is_what_is_stored(by_hand, way):
    tally, other = new_tally(), new_tally()

    async def main():
        copies = await Tally.aload_many([tally.object_id, other.object_id])
        asyncio.get_running_loop().call_later(0.5, go_on.set)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await way(copies[0])
        # The same task goes on, with the same session.
        async with OaasService.session_scope():
            copies[1].increment()
        known = copies[0].count
        await copies[0].arefresh()
        assert copies[0].count == known
        await commit(copies[0])
        return known

    with row_locked(tally) as go_on:
        known = run(main)
    assert known in {0, 1}
    assert (count_of(tally), count_of(other)) == (known + 1, 1)


def test_after_a_cancelled_method_that_repeats_itself_scopes_are_committed_again(by_hand):
    sleeper, busy, other = Sleeper.create(), new_tally(), new_tally()

    async def main():
        begun, may_commit = asyncio.Event(), asyncio.Event()

        async def cancelled():
            mine = await Sleeper.aload(sleeper.object_id)
            also_mine = await Tally.aload(other.object_id)
            asyncio.get_running_loop().call_later(1.5, go_on.set)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await mine.surely_count_after(begun, may_commit)
            await asyncio.to_thread(go_on.wait)
            async with OaasService.session_scope():
                also_mine.increment()

        async def in_front():
            # It keeps the thread of database work, so that the method's commit has to wait there.
            copy = await Tally.aload(busy.object_id)
            await begun.wait()
            asyncio.get_running_loop().call_later(0.2, may_commit.set)
            await commit(copy)

        await asyncio.gather(cancelled(), in_front())

    OaasService.commit_all()
    with row_locked(busy) as go_on:
        run(main)
    assert count_of(other) == 1
    assert count_of(busy) == 1
    assert count_of(sleeper) in {0, 1}


def test_a_cancelled_scope_takes_its_changes_back(by_hand):
    tally = new_tally()

    async def main():
        inside, copies = asyncio.Event(), []

        async def task():
            copies.append(await Tally.aload(tally.object_id))
            async with OaasService.session_scope():
                copies[0].notes.append("x")
                inside.set()
                await asyncio.sleep(60)

        cancelled = asyncio.create_task(task())
        await inside.wait()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert copies[0].notes == []

    run(main)
    OaasService.commit_all()
    assert state_of(tally)["notes"] == []
