"""Programs and servers that change objects and are ended, forked or killed.

`python -m tests.objects.programs PROGRAM ARGUMENTS` runs one of the functions at the end. The
interval of auto-commit is FLUSH_INTERVAL of the environment.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import django
from django.apps import apps

if not apps.ready:
    django.setup()

from django.db import connection, connections, transaction

from session_mgmt import StaleObjectError
from session_mgmt.db.write_behind import flush, flush_on_shutdown
from session_mgmt.models import StoredObject
from session_mgmt.objects import OaasConfig, OaasService, configure_oaas, oaas
from tests.objects.counting import Pair, Tally, counts
from tests.processes import wait_until


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def make(*numbers):
    """Make objects that are to be committed in the background, and change them."""
    for number in numbers:
        Tally.create(int(number)).increment()


def commit():
    OaasService.get_session().commit()


COMMITS = {"commit": commit, "commit_all": OaasService.commit_all, "flush": flush}


# Servers: a request for /KIND/NUMBER makes an object: in a thread of the server's, in an async
# task, in a scope, or, once there is a file GO_ON, in the middle of a shutdown.


def _make_for(path):
    _, kind, number = path.split("/")
    if kind == "scope":
        with OaasService.session_scope():
            make(number)
        return
    if kind == "slow":
        say("slow")
        wait_until(Path(os.environ["GO_ON"]).exists)
    make(number)


async def bare(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    if scope["path"].startswith("/task/"):
        make(scope["path"].split("/")[2])
    else:
        await asyncio.to_thread(_make_for, scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"made"})


wrapped = flush_on_shutdown(bare)


def wsgi(environ, start_response):
    _make_for(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [b"made"]


# Programs


def acknowledges(how, number):
    """Count, and tell each number after it was acknowledged."""
    tally = Tally.load(int(number))
    while True:
        if how == "scope":
            with OaasService.session_scope():
                told = tally.increment()
        else:
            told = tally.increment()
            COMMITS[how]()
        say(told)


def hammers(seconds, number):
    """Call a method that takes so long again and again, and tell now and then how far it is."""
    pair = Pair.load(int(number))
    told = 0.0
    while True:
        step = pair.step(float(seconds))
        if (now := time.monotonic()) - told > 0.01:
            told = now
            say(step, time.time())


def exits(how, *numbers):
    """Make objects in the main thread, in another, and in a task, and end."""
    first, second, *others = numbers
    thread = threading.Thread(target=make, args=others)
    thread.start()
    make(first)

    async def task():
        make(second)

    asyncio.run(task())
    thread.join()
    if how == "sys.exit":
        sys.exit(3)
    if how == "error":
        raise RuntimeError("not caught")
    if how == "open-transaction":
        connection.set_autocommit(False)
        assert StoredObject.objects.count() >= 0


def appends_late(number):
    """Append to a list what takes longer to make than an interval, and end."""
    tally = Tally.load(int(number))

    def slowly_made():
        flush()
        return "late"

    tally.notes.append(slowly_made())


def waits(previous, *numbers):
    """Make objects, and wait to be told to stop: by the default action, or by an exit."""
    if previous == "exits":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    make(*numbers)
    say("ready")
    while True:
        time.sleep(60)


@oaas.service("Half", package="tests")
class Half(Tally):
    @oaas.method
    def begin(self):
        self.count += 100
        say("half")
        while True:
            time.sleep(60)


def stops_in_a_method(completed, in_progress):
    """Complete a method of two objects, and be in the middle of another one of the second."""
    half = Half.create(int(in_progress))
    make(completed)
    half.increment()
    half.begin()


def has_committed_before_a_method(number):
    """Be in the middle of a method of an object that is stored."""
    half = Half.create(int(number))
    half.increment()
    commit()
    half.begin()


# Programs that fork


def in_child(work):
    """Run a function in a forked child, which may take 15 s, and wait for it."""
    connections.close_all()
    if (child := os.fork()) == 0:
        signal.alarm(15)
        try:
            work()
        except Exception as error:
            sys.stderr.write(f"{type(error).__name__} in the child: {error}\n")
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0


def forks(how, parents, childs):
    """Fork with a change that waits; let the child store its own, tell what is stored, go on."""
    tally = Tally.create(int(parents))
    tally.increment()

    def work():
        if how == "scope":
            with OaasService.session_scope():
                make(childs)
            return
        make(childs)
        if how == "exit":
            sys.exit(0)
        COMMITS[how]()

    in_child(work)
    say(json.dumps(counts()))
    tally.increment()
    commit()


def forks_with_a_changed_copy(number):
    """Fork with a change of a stored object that waits; the child changes another one only."""
    tally = Tally.load(int(number))
    tally.increment()
    in_child(lambda: (Tally.create().increment(), commit()))
    tally.increment()
    flush()
    say(tally.is_stale)


def shares(first, how, number):
    """Let parent and child change one copy of an object, one of them commits first."""
    tally = Tally.load(int(number))
    if how == "both-before":
        tally.increment()

    def change():
        tally.increment()
        try:
            commit()
        except StaleObjectError:
            say("lost")
        else:
            say("won")

    if first == "parent":
        # The child is there before the parent's commit, and waits for its end.
        reader, writer = os.pipe()
        connections.close_all()
        if (child := os.fork()) == 0:
            signal.alarm(15)
            os.read(reader, 1)
            change()
            os._exit(0)
        change()
        os.write(writer, b"!")
        assert os.waitpid(child, 0)[1] == 0
    else:
        in_child(change)
        change()


def forks_often(*numbers):
    """Fork again and again while other threads look through many sessions and make more."""
    sessions = [OaasService.get_session(partition) for partition in range(2_000)]
    stop = threading.Event()

    def commit_all():
        while not stop.is_set():
            OaasService.commit_all()

    def come_and_go():
        while not stop.is_set():
            thread = threading.Thread(target=OaasService.get_session)
            thread.start()
            thread.join()

    threads = [threading.Thread(target=target) for target in (commit_all, come_and_go)]
    for thread in threads:
        thread.start()
    try:
        for number in numbers:
            in_child(lambda number=number: (make(number), OaasService.commit_all()))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sessions


def has_children(method, *numbers):
    """Make objects in children of `multiprocessing`, which leave by a way of their own."""
    context = multiprocessing.get_context(method)
    make(numbers[0])
    children = [context.Process(target=make, args=(number,)) for number in numbers[1:]]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0


if "FLUSH_INTERVAL" in os.environ:
    configure_oaas(OaasConfig(auto_commit_interval=float(os.environ["FLUSH_INTERVAL"])))
if "MAKE_AT_IMPORT" in os.environ and multiprocessing.parent_process() is None:
    make(os.environ["MAKE_AT_IMPORT"])

if __name__ == "__main__":
    with transaction.atomic():  # it must not matter that this thread has used the database
        assert StoredObject.objects.count() >= 0
    _program, *_arguments = sys.argv[1:]
    globals()[_program](*_arguments)
