"""What is acknowledged stays, and what is complete is not lost: real processes that end."""

import json
import random
import signal
import threading
import time
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from session_mgmt.objects.ids import new_object_id
from tests.faults.test_write_behind_processes import (
    NEVER,
    WORKERS,
    free_port,
    listens,
    serving,
    started,
    stop,
)
from tests.objects.counting import Pair, count_of, counts, new_tally, state_of
from tests.processes import wait_until

pytestmark = pytest.mark.usefixtures("by_hand")


def program(name, *arguments, **more):
    """Start one of the programs."""
    return started("-m", "tests.objects.programs", name, *map(str, arguments), **more)


def new_numbers(number):
    """Return ids for objects that a program makes."""
    return [new_object_id() for _ in range(number)]


def lines_of(process):
    """Return a list that fills with what a process says, and the thread that fills it."""
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    return lines, reader


# It is killed


@pytest.mark.parametrize("how", ["commit", "scope", "commit_all", "flush"])
def test_what_was_acknowledged_is_there_after_kill_9(how):
    for _ in range(2):
        tally = new_tally()
        with program("acknowledges", how, tally.object_id) as process:
            lines, reader = lines_of(process)
            enough = random.randint(20, 200)
            wait_until(lambda lines=lines, enough=enough: len(lines) > enough)
            time.sleep(random.uniform(0, 0.01))  # anywhere in the middle of what it does
            assert stop(process, signal.SIGKILL) == -signal.SIGKILL
            reader.join()
        acknowledged = int(lines[-1])
        assert count_of(tally) in {acknowledged, acknowledged + 1}


def hammered(seconds, number, interval):
    """Return what a program that changes without a pause told, when it was ended, and the row."""
    pair = Pair.create()
    pair.session.commit()
    with program("hammers", seconds, pair.object_id, FLUSH_INTERVAL=str(interval)) as process:
        lines, reader = lines_of(process)
        wait_until(lambda: len(lines) > 200)  # more than 2 s
        ended = time.time()
        assert stop(process, number) == -number
        reader.join()
    told = [(int(step), float(moment)) for step, moment in map(str.split, lines)]
    return told, ended, state_of(pair)


# Methods are called one after the other: the session is hardly ever at rest.
METHODS = pytest.mark.parametrize("seconds", [0, 0.002], ids=["quick methods", "slow methods"])


@METHODS
def test_kill_9_loses_at_most_one_interval_and_a_write(seconds):
    interval, slack = 0.25, 1.0
    told, ended, state = hammered(seconds, signal.SIGKILL, interval)
    assert state["left"] >= max(step for step, moment in told if moment < ended - interval - slack)
    assert state["left"] == state["right"]


# It ends


@pytest.mark.parametrize(
    ("how", "code"), [("normal", 0), ("sys.exit", 3), ("error", 1), ("open-transaction", 0)]
)
def test_an_exit_loses_nothing(how, code):
    numbers = new_numbers(6)
    with program("exits", how, *numbers) as process:
        assert process.wait(60) == code
    assert counts() == dict.fromkeys(numbers, 1)


def test_an_exit_finds_a_change_inside_of_a_list_that_came_after_a_look_at_it():
    tally = new_tally()
    with program("appends_late", tally.object_id) as process:
        assert process.wait(60) == 0
    assert state_of(tally)["notes"] == ["late"]


# It is told to stop


@pytest.mark.parametrize(("previous", "code"), [("dies", -signal.SIGTERM), ("exits", 3)])
def test_a_sigterm_loses_nothing_and_does_what_it_did(previous, code):
    numbers = new_numbers(5)
    with program("waits", previous, *numbers) as process:
        assert process.stdout.readline() == "ready\n"
        assert counts() == {}
        assert stop(process) == code
    assert counts() == dict.fromkeys(numbers, 1)


def test_a_sigterm_writes_no_half_of_a_method():
    (number,) = new_numbers(1)
    with program("has_committed_before_a_method", number) as process:
        assert process.stdout.readline() == "half\n"
        assert stop(process) == -signal.SIGTERM
    assert counts() == {number: 1}


@pytest.mark.parametrize("which", ["another object", "the same object"])
def test_a_sigterm_in_the_middle_of_a_method_loses_no_method_that_was_complete(which):
    completed, in_progress = new_numbers(2)
    with program("stops_in_a_method", completed, in_progress) as process:
        assert process.stdout.readline() == "half\n"
        assert stop(process) == -signal.SIGTERM
    number = completed if which == "another object" else in_progress
    assert counts().get(number) == 1


@METHODS
def test_a_sigterm_among_methods_loses_none_that_was_complete_and_writes_no_half(seconds):
    told, ended, state = hammered(seconds, signal.SIGTERM, NEVER)
    assert state["left"] == state["right"]
    assert state["left"] >= max(step for step, moment in told if moment < ended)


# It forks


@pytest.mark.parametrize("how", ["exit", "flush", "commit", "scope", "commit_all"])
def test_a_forked_child_writes_its_own_changes_and_not_its_parents(how):
    parents, childs = new_numbers(2)
    with program("forks", how, parents, childs) as process:
        assert json.loads(process.stdout.readline()) == {str(childs): 1}
        assert process.wait(60) == 0
    assert counts() == {parents: 2, childs: 1}


def test_a_forked_child_that_commits_takes_no_change_from_its_parent():
    tally = new_tally()
    with program("forks_with_a_changed_copy", tally.object_id) as process:
        assert process.stdout.readline() == "False\n"
        assert process.wait(60) == 0
    assert count_of(tally) == 2


@pytest.mark.parametrize("first", ["parent", "child"])
@pytest.mark.parametrize(("how", "count"), [("clean", 1), ("both-before", 2)])
def test_of_parent_and_child_that_change_one_copy_the_second_is_told(first, how, count):
    tally = new_tally()
    with program("shares", first, how, tally.object_id) as process:
        assert process.communicate(timeout=60)[0].split() == ["won", "lost"]
        assert process.returncode == 0
    assert count_of(tally) == count


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_of_multiprocessing_loses_nothing(method):
    numbers = new_numbers(4)
    with program("has_children", method, *numbers) as process:
        assert process.wait(120) == 0
    assert counts() == dict.fromkeys(numbers, 1)


def test_a_child_that_is_forked_while_other_threads_commit_does_not_block():
    numbers = new_numbers(40)
    with program("forks_often", *numbers) as process:
        assert process.wait(120) == 0
    assert counts() == dict.fromkeys(numbers, 1)


# Servers


def get(port, kind, number):
    with urlopen(f"http://127.0.0.1:{port}/{kind}/{number}", timeout=60) as answer:
        return answer.read()


@contextmanager
def uvicorn(application, *options, **more):
    """Start uvicorn and give the process and its port."""
    port = free_port()
    command = ["-m", "uvicorn", f"tests.objects.programs:{application}", "--port", str(port)]
    with serving(port, *command, *options, **more) as process:
        yield process, port


@WORKERS
def test_a_shutdown_of_uvicorn_loses_nothing_that_requests_changed(workers, tmp_path):
    in_thread, in_task, in_scope, late = new_numbers(4)
    go_on = tmp_path / "go-on"
    with uvicorn("wrapped", *workers, GO_ON=str(go_on)) as (process, port):
        for kind, number in [("thread", in_thread), ("task", in_task), ("scope", in_scope)]:
            assert get(port, kind, number) == b"made"
        stored = counts()
        assert stored[in_scope] == 1
        assert in_task not in stored
        request = threading.Thread(target=get, args=(port, "slow", late))
        request.start()
        wait_until(lambda: process.stdout.readline() == "slow\n")
        process.terminate()
        if not workers:  # else the socket stays open until the end
            wait_until(lambda: not listens(port))
        go_on.touch()
        process.wait(60)
        request.join()
    assert counts() == dict.fromkeys([in_thread, in_task, in_scope, late], 1)


@pytest.mark.parametrize("kind", ["sync", "gthread"])
@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["later", "preload"])
def test_a_shutdown_of_gunicorn_loses_nothing(kind, preload):
    imported, in_scope, *numbers = new_numbers(8)
    port = free_port()
    command = ["-m", "gunicorn", "tests.objects.programs:wsgi", "--bind", f"127.0.0.1:{port}"]
    options = ["--workers", "2", "--worker-class", kind, "--no-control-socket", *preload]
    more = {"MAKE_AT_IMPORT": str(imported)} if preload else {}
    with serving(port, *command, *options, **more) as process:
        for number in numbers:
            assert get(port, "thread", number) == b"made"
        assert counts() == {}
        assert get(port, "scope", in_scope) == b"made"
        stored = counts()
        assert stored.pop(in_scope) == 1
        assert imported not in stored  # it is the parent's to write
        assert stop(process) == 0
    expected = [imported, in_scope, *numbers] if preload else [in_scope, *numbers]
    assert counts() == dict.fromkeys(expected, 1)
