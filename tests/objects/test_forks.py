"""A forked child has its own changes and none of its parent's, whatever its parent was doing."""

import json
import multiprocessing
import os
import signal
import threading

import pytest
from django.db import connections

from session_mgmt.db.write_behind import flush
from session_mgmt.objects import OaasService, get_global_oaas, oaas
from tests.objects.conftest import configured
from tests.objects.counting import Tally, copy_of, new_tally
from tests.objects.obstacles import in_progress
from tests.objects.test_interleavings import failing_scope, row_of
from tests.processes import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

NEVER = 3600.0
SECONDS = 20  # that a child may take


@oaas.service("Parent", package="tests")
class Parent(Tally):
    @oaas.method
    def work(self, begun, go_on):
        self.count += 100
        begun.set()
        assert go_on.wait(60)

    @oaas.method
    def fork(self, work):
        self.count += 100
        return in_child(work)


@pytest.fixture
def flushing(store):
    """Objects in memory, and in the database, committed in the background when a test says so."""
    manager = configured(mock_mode=get_global_oaas().config.mock_mode, auto_commit_interval=NEVER)
    yield manager
    OaasService.shutdown()
    flush()


def in_child(work):
    """Return what a function returns in a forked child, as JSON."""
    connections.close_all()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        signal.alarm(SECONDS)
        try:
            os.write(writer, json.dumps(work()).encode())
        except BaseException as error:
            os.write(writer, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as results:
        result = results.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(result)


def new_parent():
    parent = Parent.create()
    parent.session.commit()
    flush()
    return parent


# The parent's changes


@pytest.mark.parametrize("commit", [OaasService.commit_all, flush], ids=["commit_all", "flush"])
@pytest.mark.parametrize(
    "change",
    [Tally.increment, lambda one: one.notes.append("x"), Tally.delete],
    ids=["a field", "inside of a list", "deletion"],
)
def test_a_child_writes_no_change_that_waits_in_its_parent(flushing, commit, change):
    tally = new_tally()
    flush()
    before = row_of(tally)
    change(tally)

    def work():
        made = Tally.create()
        commit()
        return row_of(tally), row_of(made)["count"]

    assert in_child(work) == [before, 0]
    flush()
    assert row_of(tally) != before
    assert not tally.is_stale


def test_a_child_does_not_hold_what_its_parent_has_not_written(flushing):
    parents = [Tally.create() for _ in range(10)]

    def work():
        parents.clear()
        return len(OaasService.get_session().remote_obj_dict)

    assert in_child(work) == 0
    assert len(OaasService.get_session().remote_obj_dict) == 10


def test_a_child_that_loads_again_has_what_is_stored(flushing):
    tally = new_tally(count=1)
    tally.increment()
    tally.notes.append("x")

    def work():
        again = Tally.load(tally.object_id)
        return [again is tally, again.count, again.notes]

    assert in_child(work) == [True, 1, []]
    assert (tally.count, tally.notes) == (2, ["x"])


# The child's changes


def test_a_child_commits_what_it_changes_of_an_object_that_waited_in_its_parents_buffer(flushing):
    tally = Tally.create()
    tally.session.commit()

    def work():
        tally.count = 9
        flush()
        return row_of(tally)["count"]

    assert in_child(work) == 9


def test_a_child_commits_though_another_thread_of_its_parent_was_in_a_method(flushing):
    parent = new_parent()

    def work():
        parent.count = 5
        flush()
        return row_of(parent)["count"]

    with in_progress(parent.work):
        assert in_child(work) == 5


def test_a_child_commits_though_another_thread_of_its_parent_was_in_a_scope(flushing):
    made = []

    def scope(begun, go_on):
        with OaasService.session_scope():
            made.append(Tally.create())
            begun.set()
            assert go_on.wait(60)

    def work():
        with made[0].session.scope():
            tally = made[0].session.create_object(Tally.__cls_meta__)
            tally.count = 5
        return row_of(tally)["count"]

    with in_progress(scope):
        assert in_child(work) == 5


def test_a_child_of_a_thread_goes_on_with_the_session_of_that_thread(flushing):
    results = []

    def fork():
        tally = new_tally(count=1)
        tally.increment()
        results.extend([tally, in_child(lambda: (tally.increment(), tally.session.commit())[0])])
        connections.close_all()

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    tally, told = results
    assert told == 3
    assert tally.count == 2


def test_a_method_that_forks_ends_in_the_parent_as_ever(flushing):
    parent = new_parent()

    def work():
        made = Tally.create()
        made.session.commit()
        return row_of(made)["count"]

    assert parent.fork(work) == 0
    flush()
    assert row_of(parent)["count"] == 100


def test_a_scope_that_forks_and_fails_goes_back_in_the_parent(flushing):
    tally = new_tally()
    with failing_scope():
        tally.increment()
        assert in_child(lambda: tally.count) == 1
    assert tally.count == 0
    flush()
    assert row_of(tally)["count"] == 0


def test_ids_of_children_and_parent_differ(flushing):
    def make():
        return [Tally.create().object_id for _ in range(100)]

    Tally.create()
    numbers = [*in_child(make), *in_child(make), *make()]
    assert len({*numbers}) == 300


def test_what_a_child_keeps_in_memory_is_its_own():
    configured(mock_mode=True, auto_commit=False)
    tally = new_tally()

    def work():
        tally.increment()
        tally.session.commit()
        return row_of(tally)["count"]

    assert (in_child(work), row_of(tally)["count"]) == (1, 0)


def test_a_child_that_is_forked_while_other_threads_work_in_memory_does_not_block():
    configured(mock_mode=True, auto_commit_interval=0.05)
    stop = threading.Event()
    seen = []

    def make():
        while not stop.is_set():
            seen.append(new_tally().notes)
            OaasService.commit_all()
            del seen[:-10]

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: seen)
        for _ in range(50):
            assert in_child(lambda: row_of(new_tally())["count"]) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.django_db(transaction=True)
def test_children_of_multiprocessing_write_in_the_background_and_at_their_ends():
    configured(auto_commit_interval=0.05)
    tally = new_tally()
    others = [new_tally() for _ in range(3)]
    connections.close_all()

    def work(mine):
        mine.increment()
        wait_until(lambda: row_of(copy_of(mine))["count"] == 1, timeout=SECONDS)
        mine.increment()

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=(other,)) for other in others]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert [row_of(other)["count"] for other in others] == [2, 2, 2]
    tally.increment()
    flush()
    assert row_of(tally)["count"] == 1
