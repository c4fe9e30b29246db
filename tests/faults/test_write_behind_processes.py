"""The write-behind buffer in real processes that exit, fork, are told to stop, or are killed."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from urllib.request import urlopen
from uuid import uuid4

import pytest

from tests.faults.buffered import new_sessions, steps, writers
from tests.faults.servers import ON_SQLITE
from tests.processes import ROOT, environment, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

NEVER = "3600"  # an interval in which nothing is written unless something makes it
# The programs fork while they have a thread; that is what is tested.
FORKS = "error,ignore:This process:DeprecationWarning"


@contextmanager
def started(*arguments, **more):
    """Start `python ARGUMENTS` in a session of its own, and end what is left of it afterwards."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(**{"FLUSH_INTERVAL": NEVER, "PYTHONWARNINGS": FORKS, **more}),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                assert process.poll() is not None


def program(name, *arguments, **more):
    """Start one of the programs of `buffered`."""
    return started("-m", "tests.faults.buffered", name, *map(str, arguments), **more)


def stop(process, number=signal.SIGTERM):
    process.send_signal(number)
    return process.wait(60)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# Python exits


@pytest.mark.parametrize(
    ("how", "code"), [("normal", 0), ("sys.exit", 3), ("error", 1), ("open-transaction", 0)]
)
def test_an_exit_loses_nothing(how, code):
    keys = new_sessions(5)
    with program("exits", how, *keys) as process:
        assert process.wait(60) == code
    assert steps() == dict.fromkeys(keys, 1)


def test_an_exit_does_not_need_the_thread():
    keys = new_sessions(3)
    with program("kills_the_thread", *keys) as process:
        assert process.wait(60) == 0
    assert steps() == dict.fromkeys(keys, 1)


def test_there_is_no_thread_before_the_first_put():
    (key,) = new_sessions(1)
    with program("idles", key) as process:
        assert process.communicate(timeout=60)[0].split() == ["0", "1"]


# It is told to stop, or killed


@pytest.mark.parametrize(("previous", "code"), [("dies", -signal.SIGTERM), ("exits", 3)])
def test_a_sigterm_loses_nothing_and_does_what_it_did(previous, code):
    keys = new_sessions(5)
    with program("waits", previous, *keys) as process:
        assert process.stdout.readline() == "ready\n"
        assert steps() == {}
        assert stop(process) == code
    assert steps() == dict.fromkeys(keys, 1)


def hammered(number, interval):
    """Return what a program that puts without a pause told as (step, moment), and when it ended."""
    (key,) = new_sessions(1)
    with program("hammers", key, FLUSH_INTERVAL=str(interval)) as process:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))
        reader.start()
        wait_until(lambda: len(lines) > 250)  # more than 2.5 s
        ended = time.time()
        assert stop(process, number) == -number
        reader.join()
    told = [(int(step), float(moment)) for step, moment in map(str.split, lines)]
    return told, ended, steps()[key]


def test_a_sigterm_in_the_middle_of_a_put_loses_nothing():
    told, ended, step = hammered(signal.SIGTERM, NEVER)
    assert step >= max(step for step, moment in told if moment < ended)


def test_kill_9_loses_at_most_one_interval():
    interval, slack = 0.25, 1.5
    told, ended, step = hammered(signal.SIGKILL, interval)
    assert step >= max(step for step, moment in told if moment < ended - interval - slack)


# It forks


@pytest.mark.parametrize("ending", ["flush", "exit"])
def test_a_fork_duplicates_and_loses_nothing(ending):
    own, *keys = new_sessions(101)
    with program("forks", ending, own, *keys) as process:
        assert process.wait(60) == 0
    assert steps() == dict.fromkeys([own, *keys], 1)
    by = writers()
    assert by.pop(own) != str(process.pid)
    assert set(by.values()) == {str(process.pid)}


def test_a_fork_in_a_long_write_disturbs_it_not():
    (key,) = new_sessions(1)
    with program("forks_while_it_writes", key, FLUSH_INTERVAL="0.05") as process:
        assert process.wait(60) == 0
    assert steps() == {key: 1}


@ON_SQLITE
def test_a_fork_in_a_long_write_without_a_write_ahead_log_disturbs_it_not(tmp_path):
    file, key = tmp_path / "file.sqlite3", uuid4()
    with program("forks_while_it_writes", key, file, FLUSH_INTERVAL="0.05") as process:
        assert process.wait(60) == 0
    with closing(sqlite3.connect(file)) as opened:
        assert opened.execute("SELECT id FROM written").fetchall() == [(str(key),)]


def test_forks_and_rounds_and_puts_do_not_block_each_other():
    mine, *others = new_sessions(41)
    with program("forks_often", mine, *others, FLUSH_INTERVAL="0.01") as process:
        assert process.wait(120) == 0
    stored = steps()
    assert stored.pop(mine) > 1
    assert stored == dict.fromkeys(others, 1)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_of_multiprocessing_loses_nothing(method):
    keys = new_sessions(4)
    with program("has_children", method, *keys) as process:
        assert process.wait(120) == 0
    assert steps() == dict.fromkeys(keys, 1)


# Servers


def get(port, kind, key, step):
    with urlopen(f"http://127.0.0.1:{port}/{kind}/{key}/{step}", timeout=60) as answer:
        return answer.read()


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(port, *arguments, **more):
    """Start a server and wait for it."""
    with started(*arguments, **more) as process:
        wait_until(lambda: listens(port))
        yield process


@contextmanager
def uvicorn(application, *options, **more):
    """Start uvicorn and give the process and its port."""
    port = free_port()
    command = ["-m", "uvicorn", f"tests.faults.buffered:{application}", "--port", str(port)]
    with serving(port, *command, *options, **more) as process:
        yield process, port


def stop_during_a_request(process, port, key, go_on):
    """Tell a server to stop while a request is under way, which puts only then."""
    request = threading.Thread(target=get, args=(port, "slow", key, 2))
    request.start()
    wait_until(lambda: process.stdout.readline() == "slow\n")
    process.terminate()
    if "--workers" not in process.args:  # else the socket stays open until the end
        wait_until(lambda: not listens(port))
    go_on.touch()
    process.wait(60)
    request.join()


WORKERS = pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "two"])


@WORKERS
def test_a_shutdown_of_uvicorn_loses_nothing_that_requests_put_last(workers, tmp_path):
    early, late = new_sessions(2)
    go_on = tmp_path / "go-on"
    with uvicorn("wrapped", *workers, GO_ON=str(go_on)) as (process, port):
        assert get(port, "put", early, 1) == b"put"
        assert steps() == {}
        stop_during_a_request(process, port, late, go_on)
    assert steps() == {early: 1, late: 2}


@WORKERS
def test_a_sigterm_to_uvicorn_without_the_wrapper_loses_nothing_put_before(workers):
    (key,) = new_sessions(1)
    with uvicorn("bare", *workers, FLUSH_ON_SIGTERM="1") as (process, port):
        assert get(port, "put", key, 1) == b"put"
        assert steps() == {}
        stop(process)
    assert steps() == {key: 1}


def test_a_program_that_runs_uvicorn_loses_nothing(tmp_path):
    early, late = new_sessions(2)
    port, go_on = free_port(), tmp_path / "go-on"
    command = ["-m", "tests.faults.buffered", "serves", str(port)]
    with serving(port, *command, GO_ON=str(go_on)) as process:
        assert get(port, "put", early, 1) == b"put"
        stop_during_a_request(process, port, late, go_on)
        assert process.returncode == -signal.SIGTERM
    assert steps() == {early: 1, late: 2}


@pytest.mark.parametrize("kind", ["sync", "gthread"])
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_a_shutdown_of_gunicorn_loses_nothing(kind, preload):
    imported, *keys = new_sessions(7)
    port = free_port()
    command = ["-m", "gunicorn", "tests.faults.buffered:wsgi", "--bind", f"127.0.0.1:{port}"]
    options = ["--workers", "2", "--worker-class", kind, "--no-control-socket", *preload]
    with serving(port, *command, *options, PUT_AT_IMPORT=str(imported)) as process:
        for key in keys:
            assert get(port, "put", key, 1) == b"put"
        assert imported not in steps()
        assert stop(process) == 0
    assert steps() == dict.fromkeys([imported, *keys], 1)
    assert (writers()[imported] == str(process.pid)) is bool(preload)
