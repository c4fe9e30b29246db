"""Sessions of threads: their own, gone with them, and committed without anybody's half work."""

import gc
import threading
from weakref import WeakSet

import psutil
import pytest
from django.db import connections

from session_mgmt import StateTypeError
from session_mgmt.db.write_behind import flush
from session_mgmt.models import StoredObject
from session_mgmt.objects import (
    OaasService,
    disable_auto_commit,
    enable_auto_commit,
    get_global_oaas,
    oaas,
    set_auto_commit_interval,
)
from tests.faults.servers import ON_POSTGRES
from tests.objects.conftest import configured
from tests.objects.counting import Tally, count_of, counts, in_threads, new_tally, state_of
from tests.objects.obstacles import (  # noqa: F401 # fixtures
    LOCK,
    TAKE,
    LateStore,
    add_database,
    cluster,
    in_progress,
    in_the_way,
    on_server,
    server,
)
from tests.processes import wait_until

NEVER = 3600.0


@oaas.service("Waiter", package="tests")
class Waiter(Tally):
    @oaas.method
    def wait(self, begun, go_on):
        self.count += 1
        begun.set()
        assert go_on.wait(30)
        self.count += 1

    @oaas.method
    def spread(self, others):
        for notes in [other.notes for other in others]:
            notes.append("x")


@pytest.fixture(autouse=True)
def _settled(transactional_db):
    yield
    OaasService.shutdown()
    flush()


# Each thread has its own


def test_a_thread_has_one_session_for_each_partition_and_no_other_threads():
    configured(auto_commit=False)

    def sessions():
        first, again = [[OaasService.get_session(number) for number in (0, 7)] for _ in range(2)]
        assert first == again
        return first

    found = [*sessions(), *(one for pair in in_threads(sessions, [()] * 3) for one in pair)]
    assert len({id(session) for session in found}) == 8
    assert [session.partition_id for session in found] == [0, 7] * 4


def run_batches(work, threads, size=100):
    """Call `work` in that many threads; return what lives on, and how much memory grew."""
    seen = WeakSet()

    def batch():
        for held in in_threads(lambda: list(work()), [()] * size):
            seen.update(held)

    for _ in range(threads // size // 5):
        batch()
    before = psutil.Process().memory_info().rss
    for _ in range(threads // size * 4 // 5):
        batch()
    flush()
    gc.collect()
    return list(seen), (psutil.Process().memory_info().rss - before) / 2**20


def test_ten_thousand_threads_that_change_objects_leave_rows_and_nothing_else(in_background):
    def work():
        tally = Tally.create()
        tally.increment()
        tally.notes.append("x")
        return tally, tally.session

    alive, growth = run_batches(work, 10_000)
    assert alive == []
    assert growth < 50
    states = [*StoredObject.objects.values_list("state", flat=True)]
    assert states == [{"count": 1, "notes": ["x"]}] * 10_000
    assert in_background._kept == set()


@pytest.mark.parametrize(("mock_mode", "threads"), [(True, 10_000), (False, 1_000)])
def test_threads_that_only_read_leave_nothing(mock_mode, threads):
    configured(mock_mode=mock_mode, auto_commit_interval=0.05)
    number = new_tally().object_id

    def work():
        tally = Tally.load(number)
        assert (tally.count, tally.notes) == (0, [])
        return tally, tally.session

    alive, growth = run_batches(work, threads)
    assert alive == []
    assert growth < 50


def test_without_auto_commit_the_changes_of_a_dead_thread_are_committed_by_commit_all(by_hand):
    def work():
        tally = Tally.create()
        tally.increment()
        tally.notes.append("x")

    in_threads(work, [()] * 10)
    gc.collect()
    assert counts() == {}
    OaasService.commit_all()
    assert [*counts().values()] == [1] * 10
    gc.collect()
    assert by_hand._kept == set()


# Ends of sessions


def test_cleanup_commits_the_sessions_of_this_thread_and_begins_new_ones(by_hand):
    tally = Tally.create()
    other = Tally.create(partition_id=7)
    OaasService.cleanup_session()
    assert len(counts()) == 2
    assert OaasService.get_session() is not tally.session
    assert OaasService.get_session(7) is not other.session


def test_cleanup_of_another_thread_leaves_mine(by_hand):
    mine = Tally.create()
    made = []

    def work(begun, go_on):
        made.append(Tally.create())
        begun.set()
        assert go_on.wait(30)
        made.append(Tally.create())

    with in_progress(work):
        OaasService.cleanup_session(made[0].session.thread_id)
        assert [*counts()] == [made[0].object_id]
    assert made[0].session is not made[1].session
    assert OaasService.get_session() is mine.session
    OaasService.commit_all()
    assert len(counts()) == 3


def test_shutdown_twice_and_use_afterwards_lose_nothing(by_hand):
    tally = Tally.create()
    OaasService.shutdown()
    OaasService.shutdown()
    assert counts() == {tally.object_id: 0}
    tally.increment()  # whoever holds it may go on
    again = Tally.create()
    assert again.session is not tally.session
    OaasService.commit_all()
    assert counts() == {tally.object_id: 1, again.object_id: 0}


# Commits from another thread


@pytest.mark.parametrize("commit", [OaasService.commit_all, flush], ids=["commit_all", "auto"])
def test_others_commit_no_half_of_a_method_and_whatever_is_complete_elsewhere(commit):
    configured(auto_commit=commit is flush, auto_commit_interval=NEVER)
    number, other = Waiter.create().object_id, new_tally()
    OaasService.commit_all()
    other.increment()
    with in_progress(lambda begun, go_on: Waiter.load(number).wait(begun, go_on)):
        commit()
        assert counts() == {number: 0, other.object_id: 1}
    commit()
    assert counts() == {number: 2, other.object_id: 1}


@pytest.mark.parametrize("commit", [OaasService.commit_all, flush], ids=["commit_all", "auto"])
def test_others_commit_no_half_of_a_scope(commit):
    configured(auto_commit=commit is flush, auto_commit_interval=NEVER)
    tally, other = new_tally(), new_tally()
    other.increment()

    def scope(begun, go_on):
        with OaasService.session_scope():
            Tally.load(tally.object_id).increment()
            begun.set()
            assert go_on.wait(30)

    with in_progress(scope):
        commit()
        assert (count_of(tally), count_of(other)) == (0, 1)
    assert (count_of(tally), count_of(other)) == (1, 1)


def test_commit_all_of_other_threads_disturbs_no_commits_and_no_scopes_that_fail(by_hand):
    stop, tally = threading.Event(), new_tally()

    def commit_all():
        while not stop.is_set():
            OaasService.commit_all()
        connections.close_all()

    thread = threading.Thread(target=commit_all)
    thread.start()
    try:
        for number in range(1, 201):
            tally.increment()
            if number % 2:
                tally.session.commit()
            with pytest.raises(ZeroDivisionError), OaasService.session_scope():
                tally.increment()
                1 / 0  # noqa: B018
            assert tally.count == number
    finally:
        stop.set()
        thread.join()
    tally.session.commit()
    assert count_of(tally) == 200


def test_a_commit_of_another_thread_that_ends_late_does_not_bring_back_what_was_before(by_hand):
    get_global_oaas().store = LateStore()
    tally = new_tally()
    tally.increment()
    with in_progress(LateStore.commit_all):
        tally.increment()
        tally.session.commit()
    with pytest.raises(ZeroDivisionError), OaasService.session_scope():
        tally.increment()
        1 / 0  # noqa: B018
    assert tally.count == 2


# Switches


def test_auto_commit_can_be_switched_on_and_off(by_hand):
    tally = new_tally()
    tally.increment()
    flush()
    assert count_of(tally) == 0
    enable_auto_commit()
    flush()
    assert count_of(tally) == 1
    disable_auto_commit()
    tally.increment()
    flush()
    assert count_of(tally) == 1


def test_a_shorter_interval_counts_at_once():
    configured(auto_commit_interval=NEVER)
    tally = new_tally()
    tally.increment()
    assert count_of(tally) == 0
    set_auto_commit_interval(0.05)
    wait_until(lambda: count_of(tally) == 1)


# Changes inside of lists


def test_a_list_that_was_looked_at_before_the_change_came_is_looked_at_again(in_background):
    tally = new_tally()

    def slowly_made():
        flush()
        return "late"

    tally.notes.append(slowly_made())
    wait_until(lambda: (flush(), state_of(tally)["notes"] == ["late"])[1], timeout=5)


def test_a_method_may_change_the_lists_of_many_objects_after_it_has_them_all(in_background):
    waiter, tallies = Waiter.create(), [Tally.create() for _ in range(1_500)]
    OaasService.commit_all()
    flush()
    waiter.spread(tallies)
    flush()
    states = StoredObject.objects.filter(class_name="tests.Tally").values_list("state", flat=True)
    assert sum(state["notes"] == ["x"] for state in states) == 1_500


# What cannot be written


def test_an_object_that_cannot_be_stored_stops_no_other(in_background, caplog):
    poisoned, other = new_tally(), new_tally()
    in_background.set_auto_commit_interval(NEVER)
    before = in_background.counts.failed
    poisoned.notes.append(object())
    other.increment()
    flush()
    assert (count_of(other), state_of(poisoned)["notes"]) == (1, [])
    assert in_background.counts.failed == before + 1
    assert f"{poisoned!r} cannot be committed" in caplog.text
    with pytest.raises(StateTypeError, match="notes"):
        poisoned.session.commit()
    poisoned.notes[:] = ["well"]
    flush()
    assert state_of(poisoned)["notes"] == ["well"]


def test_commit_all_commits_the_sessions_beside_one_that_cannot(by_hand, caplog):
    poisoned = new_tally()
    poisoned.notes.append(object())
    before = by_hand.counts.failed
    in_threads(lambda: Tally.create().increment(), [()] * 3)
    OaasService.commit_all()
    assert sorted(counts().values()) == [0, 1, 1, 1]
    assert by_hand.counts.failed == before + 1
    assert "notes" in caplog.text
    poisoned.notes.clear()


# A database that is busy or away


@ON_POSTGRES
@pytest.mark.parametrize("change", [Tally.increment, Tally.delete], ids=["change", "deletion"])
def test_a_row_that_somebody_has_locked_holds_up_no_other_and_is_written_later(
    in_background, change
):
    locked, other = new_tally(), new_tally()
    with in_the_way(LOCK, locked.object_id):
        change(locked)
        other.increment()
        wait_until(lambda: count_of(other) == 1, timeout=5)
        assert count_of(locked) == 0
    wait_until(lambda: counts() in ({other.object_id: 1}, dict.fromkeys(counts(), 1)))
    assert not locked.is_stale


@ON_POSTGRES
def test_an_id_that_somebody_is_about_to_take_holds_up_no_other(in_background):
    other = new_tally()
    with in_the_way(TAKE, 5):
        Tally.create(5)
        other.increment()
        wait_until(lambda: count_of(other) == 1, timeout=5)
    wait_until(lambda: counts() == {5: 0, other.object_id: 1})


@ON_POSTGRES
def test_changes_are_kept_while_the_database_is_away_and_written_later(on_server, caplog):  # noqa: F811
    manager = configured(auto_commit_interval=0.05)
    before = manager.counts
    tally = new_tally()
    on_server.stop()
    tally.increment()
    wait_until(lambda: manager.counts.requeued > before.requeued)
    tally.increment()
    on_server.start()
    wait_until(lambda: count_of(tally) == 2)
    assert manager.counts[3:] == before[3:]
    assert "kept and tried again" in caplog.text


@ON_POSTGRES
def test_threads_leave_no_slot_of_a_pool_behind(on_server):  # noqa: F811
    configured(auto_commit_interval=0.05)
    tally = new_tally()

    def work():
        Tally.load(tally.object_id)
        Tally.create().session.commit()
        Tally.create().increment()

    threads = [threading.Thread(target=work) for _ in range(50)]  # none closes its connection
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    flush()
    assert len(counts()) == 101
    connections["broken"].close()
    wait_until(lambda: connections["broken"].pool.get_stats()["pool_available"] == 2)
