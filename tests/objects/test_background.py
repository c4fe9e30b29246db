"""Auto-commit beside threads that never rest, locks of others, wrong values, and ends of things."""

import gc
import random
import threading
import weakref
from contextlib import contextmanager, suppress

import pytest
from django.db import connections, transaction

from session_mgmt import StaleObjectError, StateTypeError
from session_mgmt.db.write_behind import flush
from session_mgmt.models import object_write
from session_mgmt.objects import (
    OaasConfig,
    OaasService,
    configure_oaas,
    get_global_oaas,
    oaas,
    set_auto_commit_interval,
)
from tests.objects.conftest import configured
from tests.objects.counting import (
    Pair,
    Tally,
    change_by_another,
    copy_of,
    counts,
    in_threads,
    new_tally,
)
from tests.objects.obstacles import LOCK, TAKE, in_progress, in_the_way
from tests.objects.test_interleavings import ONE_WRITER, failing_scope, row_of
from tests.processes import in_processes, wait_until

NEVER = 3600.0


@oaas.service("Worker", package="tests")
class Worker(Tally):
    @oaas.method
    def work(self, begun, go_on):
        self.count += 100
        self.notes.append("half")
        begun.set()
        assert go_on.wait(60)
        self.count += 100

    @oaas.method
    def poison(self):
        self.count += 1
        self.notes.append(object())

    @oaas.method
    def mend(self):
        self.count += 1
        self.notes.clear()


@pytest.fixture
def flushing(store):
    """Objects in memory, and in the database, committed in the background when a test says so."""
    manager = configured(mock_mode=get_global_oaas().config.mock_mode, auto_commit_interval=NEVER)
    yield manager
    OaasService.shutdown()
    flush()


def new_worker():
    worker = Worker.create()
    worker.session.commit()
    flush()
    return worker


# Threads that never rest


@contextmanager
def without_rest(step):
    """Call something again and again in another thread while the block runs."""
    stop = threading.Event()

    def loop():
        while not stop.is_set():
            step()
        connections.close_all()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_thread_that_calls_one_method_after_the_other_is_written_all_the_time(flushing):
    pair = Pair.create()
    pair.session.commit()
    set_auto_commit_interval(0.05)
    states = []

    def grows():
        states.append(row_of(pair))
        return states[-1]["left"] > states[0]["left"]

    with without_rest(lambda: pair.step(0.01)):
        for _ in range(3):
            states.clear()
            wait_until(grows, timeout=10)
            assert all(state["left"] == state["right"] for state in states)


def test_a_flush_writes_what_was_complete_before_the_method_that_runs(flushing):
    worker = new_worker()
    for _ in range(3):
        worker.increment()
    with in_progress(worker.work):
        flush()
        assert row_of(worker) == {"count": 3, "notes": []}
    flush()
    assert row_of(worker) == {"count": 203, "notes": ["half"]}


def test_a_flush_writes_what_was_complete_before_the_scope_that_is_open(flushing):
    tally = new_tally()
    tally.increment(3)
    tally.notes.append("before")
    with OaasService.session_scope():
        tally.increment(100)
        tally.notes.append("inside")
        flush()
        assert row_of(tally) == {"count": 3, "notes": ["before"]}
    assert row_of(tally) == {"count": 103, "notes": ["before", "inside"]}


def test_a_scope_that_fails_after_its_past_was_written_goes_back_to_that(flushing):
    tally = new_tally()
    tally.increment(3)
    with failing_scope():
        tally.increment(100)
        flush()
    assert tally.count == 3
    tally.increment()
    flush()
    assert row_of(tally)["count"] == 4


def test_what_is_put_into_a_list_right_after_the_object_was_made_is_not_lost(flushing):
    set_auto_commit_interval(0.05)
    made = []

    def make():
        for _ in range(300):
            tally = Tally.create()
            tally.notes.append("x")
            made.append(tally)

    in_threads(make, [()] * 3)
    flush()
    assert all(row_of(tally)["notes"] == ["x"] for tally in random.sample(made, 300))


# Lists that somebody holds


def test_a_list_that_is_held_is_looked_at_every_interval(flushing):
    set_auto_commit_interval(0.05)
    tally = new_tally()
    notes = tally.notes
    for number in range(1, 4):
        for _ in range(3):
            flush()
        notes.append("x")
        wait_until(lambda number=number: row_of(tally)["notes"] == ["x"] * number, timeout=5)


def test_an_object_of_which_nobody_holds_a_list_any_more_is_let_go(flushing):
    set_auto_commit_interval(0.05)
    tally = new_tally()
    notes, seen = tally.notes, weakref.ref(tally)
    del tally
    flush()
    assert seen() is not None
    notes.append("x")
    row = row_of(seen())
    wait_until(lambda: row_of(seen()) != row, timeout=5)
    del notes

    def is_gone():
        gc.collect()
        return seen() is None

    wait_until(is_gone, timeout=5)
    assert flushing._kept == set()


# Rows of others


@ONE_WRITER
def test_rows_that_open_transactions_have_locked_hold_up_no_other(in_background):
    locked, made = new_tally(), []

    def commit(begun, go_on):
        with transaction.atomic():
            made.append(Tally.create())
            made[0].session.commit()
            made[0].increment()
            begun.set()
            assert go_on.wait(30)

    with in_the_way(LOCK, locked.object_id), in_progress(commit):
        locked.increment()
        other = Tally.create()
        wait_until(lambda: counts() == {locked.object_id: 0, other.object_id: 0}, timeout=5)
    ends = {locked.object_id: 1, other.object_id: 0, made[0].object_id: 1}
    wait_until(lambda: counts() == ends, timeout=5)


@ONE_WRITER
def test_of_many_new_objects_all_are_written_but_that_whose_id_somebody_is_taking(in_background):
    taken, *ids = range(1, 11)
    with in_the_way(TAKE, taken):
        kept = [Tally.create(number) for number in [*ids[:5], taken, *ids[5:]]]
        wait_until(lambda: counts() == dict.fromkeys(ids, 0), timeout=10)
    wait_until(lambda: taken in counts(), timeout=5)
    assert not any(tally.is_stale for tally in kept)


def test_a_conflict_of_an_object_that_nobody_uses_any_more_troubles_no_commit(flushing):
    tally, other = new_tally(), new_tally()
    tally.increment()
    change_by_another(tally, by=5)
    row = row_of(tally)
    flush()
    with pytest.raises(StaleObjectError):
        OaasService.get_session().commit()
    theirs = copy_of(tally)
    del tally
    gc.collect()
    other.increment()
    OaasService.get_session().commit()
    assert (row_of(other)["count"], row_of(theirs)) == (1, row)


# More than one statement takes


@pytest.mark.parametrize("commit", [OaasService.commit_all, flush], ids=["commit_all", "auto"])
def test_what_one_statement_cannot_take_is_written_by_several(
    transactional_db, monkeypatch, commit
):
    configured(auto_commit=commit is flush, auto_commit_interval=NEVER)
    monkeypatch.setattr(object_write, "_LARGE", 1_000)
    tallies = [Tally.create() for _ in range(100)]
    commit()
    assert sorted(counts().values()) == [0] * 100
    for number, tally in enumerate(tallies):
        tally.notes.append("x" * number * 20)
        tally.count = number
    change_by_another(tallies[0])
    for tally in tallies[50:]:
        tally.delete()
    if commit is not flush:
        with pytest.raises(StaleObjectError) as caught:
            OaasService.get_session().commit()
        assert caught.value.objects == (("tests.Tally", tallies[0].object_id),)
        assert sorted(counts().values()) == [0] * 99 + [1]
        tallies[0].refresh()
    commit()
    assert sorted(counts().values()) == sorted([1, *range(1, 50)])
    assert [tally.is_stale for tally in tallies] == [commit is flush, *[False] * 99]


# Wrong values


def test_what_a_method_has_made_unfit_to_be_stored_can_be_mended_by_another(flushing):
    worker, other = new_worker(), new_tally()
    before = flushing.counts.failed
    worker.poison()
    other.increment()
    flush()
    assert (row_of(worker)["count"], row_of(other)["count"]) == (0, 1)
    assert flushing.counts.failed == before + 1
    worker.mend()
    flush()
    assert row_of(worker) == {"count": 2, "notes": []}


@pytest.mark.parametrize("how", ["mended", "failed", "not mended"])
def test_what_was_unfit_before_a_scope_is_stored_by_it_only_if_it_mends_it(flushing, how):
    worker = new_worker()
    worker.poison()
    if how == "mended":
        with OaasService.session_scope():
            worker.mend()
    elif how == "failed":
        with failing_scope():
            worker.mend()
    else:
        with pytest.raises(StateTypeError, match="notes"), OaasService.session_scope():
            worker.increment()
    if how != "mended":
        assert row_of(worker)["count"] == 0
        assert (worker.count, len(worker.notes)) == (1, 1)
        with pytest.raises(StateTypeError, match="notes"):
            worker.session.commit()
        worker.notes = []
        worker.increment()
        worker.session.commit()
    assert row_of(worker) == {"count": 2, "notes": []}


# Ends


def stays_in_a_method(number):
    """Leave a daemon thread behind in the middle of a method, after others have ended."""
    configure_oaas(OaasConfig(auto_commit_interval=NEVER))
    begun, never = threading.Event(), threading.Event()

    def work():
        worker = Worker.load(number)
        for _ in range(100):
            worker.increment()
        worker.work(begun, never)

    threading.Thread(target=work, daemon=True).start()
    assert begun.wait(30)


def holds_a_list(number):
    """Put into a list that a variable holds until the end."""
    configure_oaas(OaasConfig(auto_commit_interval=0.05))
    globals()["held"] = notes = Worker.load(number).notes
    notes.append("1")
    flush()
    notes.append("2")


@pytest.mark.parametrize(
    ("program", "state"),
    [
        (stays_in_a_method, {"count": 100, "notes": []}),
        (holds_a_list, {"count": 0, "notes": ["1", "2"]}),
    ],
)
def test_an_exit_writes_what_is_complete(by_hand, program, state):
    worker = new_worker()
    in_processes(program, [[worker.object_id]])
    assert row_of(worker) == state


END = {
    "cleanup": OaasService.cleanup_session,
    "shutdown": lambda _: OaasService.shutdown(),
    "configure": lambda _: configure_oaas(get_global_oaas().config),
}


@pytest.mark.parametrize("end", END)
def test_a_method_of_another_thread_is_written_as_a_whole_when_it_ends(store, end):
    worker, copies = new_worker(), []

    def work(begun, go_on):
        copies.append(Worker.load(worker.object_id))
        copies[0].increment()
        copies[0].work(begun, go_on)

    with in_progress(work):
        END[end](copies[0].session.thread_id)
        assert row_of(worker)["count"] in {0, 1}
    flush()
    assert row_of(worker) == {"count": 201, "notes": ["half"]}


@pytest.mark.parametrize("end", ["cleanup", "shutdown"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_scope_of_another_thread_goes_on_as_a_whole(store, end, fails):
    made = []

    def scope(begun, go_on):
        with suppress(ZeroDivisionError), OaasService.session_scope():
            made.append(Tally.create())
            begun.set()
            assert go_on.wait(30)
            made.append(Tally.create())
            if fails:
                raise ZeroDivisionError

    with in_progress(scope):
        END[end](made[0].session.thread_id)
    OaasService.commit_all()
    flush()
    expected = None if fails else {"count": 0, "notes": []}
    assert [row_of(tally) for tally in made] == [expected] * 2
