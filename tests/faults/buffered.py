"""A write-behind buffer of progress, and programs and servers that put into it and are ended.

`python -m tests.faults.buffered PROGRAM ARGUMENTS` runs one of the functions at the end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import django
from django.apps import apps
from django.conf import settings

if not apps.ready:
    if "FLUSH_INTERVAL" in os.environ:
        settings.SESSION_MGMT["FLUSH_INTERVAL"] = float(os.environ["FLUSH_INTERVAL"])
    django.setup()

from django.db import connection, connections
from django.utils import timezone

from session_mgmt.db.flusher import FLUSHER
from session_mgmt.db.write_behind import (
    Buffer,
    flush,
    flush_on_shutdown,
    flush_on_sigterm,
)
from session_mgmt.models import GenerationSession, Progress
from tests.faults.servers import run
from tests.processes import wait_until


def new_sessions(number):
    """Return the ids of that many new sessions."""
    sessions = [GenerationSession(request_data={"story_text": "x"}) for _ in range(number)]
    GenerationSession.objects.bulk_create(sessions)
    return [session.pk for session in sessions]


def steps():
    """Return what is in the table."""
    return dict(Progress.objects.values_list("session_id", "current_step"))


def writers():
    """Return the processes that wrote what is in the table."""
    return dict(Progress.objects.values_list("session_id", "description"))


def write(using, items):
    """Store each session's step, and by which process."""
    rows = [
        Progress(
            session_id=key,
            current_step=step,
            total_steps=0,
            description=str(os.getpid()),
            updated_at=timezone.now(),
        )
        for key, step in items
    ]
    Progress.objects.using(using).bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["session"],
        update_fields=["current_step", "description", "updated_at"],
    )


buffer = Buffer("progress", write)


class Recorder:
    """Writes as `write` does, and keeps what it was given; it can be told to wait."""

    def __init__(self):
        self.batches = []
        self.connections = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, using, items):
        self.batches.append(list(items))
        self.connections.append(connections[using])
        self.begun.set()
        assert self.go_on.wait(30)
        write(using, items)


@contextmanager
def only_when_asked(settings):
    """Let nothing be written without being asked for, and nothing be left for the next test."""
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 3600}
    before = list(FLUSHER.lanes)
    yield
    with FLUSHER.lock:
        left = sum(lane.size for lane in FLUSHER.lanes)
        FLUSHER.lanes[:] = before
    assert left == 0


def put_all(keys, step=1):
    for key in keys:
        buffer.put(UUID(key), step)


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def flushers():
    return [thread for thread in threading.enumerate() if "flusher" in thread.name]


# Servers: a request for /put/SESSION/STEP puts, in a thread of the server's, and one for
# /slow/SESSION/STEP does once there is a file GO_ON.


def _put(path):
    _, kind, key, step = path.split("/")
    if kind == "slow":
        say("slow")
        wait_until(Path(os.environ["GO_ON"]).exists)
    buffer.put(UUID(key), int(step))


async def bare(scope, receive, send):
    """Speak no lifespan, as Django's application does not."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await asyncio.to_thread(_put, scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"put"})


wrapped = flush_on_shutdown(bare)


def wsgi(environ, start_response):
    _put(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [b"put"]


if "PUT_AT_IMPORT" in os.environ:
    buffer.put(UUID(os.environ["PUT_AT_IMPORT"]), 1)
if "FLUSH_ON_SIGTERM" in os.environ:
    flush_on_sigterm()


# Programs


def exits(how, *keys):
    """Put in the main thread and in another, and end."""
    thread = threading.Thread(target=put_all, args=(keys[1:],))
    thread.start()
    put_all(keys[:1])
    thread.join()
    if how == "sys.exit":
        sys.exit(3)
    if how == "error":
        raise RuntimeError("not caught")
    if how == "open-transaction":
        connection.set_autocommit(False)
        assert GenerationSession.objects.exists()


def idles(*keys):
    """Tell the threads before and after the first put."""
    say(len(flushers()))
    put_all(keys)
    say(len(flushers()))


def waits(previous, *keys):
    """Put, and wait to be told to stop: by the default action, or by an exit."""
    if previous == "exits":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    put_all(keys)
    say("ready")
    while True:
        time.sleep(60)


def hammers(key):
    """Put without a pause and tell now and then what and when."""
    step, told = 0, 0.0
    while True:
        step += 1
        buffer.put(UUID(key), step)
        if (now := time.monotonic()) - told > 0.01:
            told = now
            say(step, time.time())


def forks(ending, own, *keys):
    """Fork with a full buffer; the child puts a value of its own and ends somehow."""
    connection.ensure_connection()
    put_all(keys)
    if (child := os.fork()) == 0:
        assert buffer.counts.waiting == 0
        assert not flushers()
        put_all([own])
        assert buffer.counts.waiting == 1
        if ending == "flush":
            flush()
            os._exit(0)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    with connection.cursor() as cursor:  # the child has not closed it
        cursor.execute("SELECT 1")
    assert buffer.counts.waiting == len(keys)


def insert(using, items):
    for key, _ in items:
        run(connections[using], "INSERT INTO written VALUES (%s)", str(key))


def forks_while_it_writes(key, file=""):
    """Fork in the middle of a write that takes longer than a fork waits."""
    using, write_first = "default", write
    if file:  # SQLite as it comes, without a write-ahead log
        using, write_first = "file", insert
        entry = {"NAME": file, "OPTIONS": {}}
        connections.settings[using] = connections.settings["default"] | entry
        run(connections[using], "CREATE TABLE written (id text)")
    begun, go_on = threading.Event(), threading.Event()

    def write_slowly(using, items):
        # No variable here may refer to the connection: it would hide that nothing else does.
        write_first(using, items)
        begun.set()
        assert go_on.wait(30)
        run(connections[using], "SELECT 1")

    slow = Buffer("slow", write_slowly)
    slow.put(UUID(key), 1, using=using)
    assert begun.wait(30)
    if (child := os.fork()) == 0:
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    go_on.set()
    flush()
    assert slow.counts == (0, 1, 0, 0, 0)


def forks_often(*keys):
    """Fork again and again while other threads put and the flusher writes."""
    mine, *others = keys
    stop = threading.Event()

    def put():
        step = 0
        while not stop.is_set():
            step += 1
            buffer.put(UUID(mine), step)

    threads = [threading.Thread(target=put) for _ in range(2)]
    for thread in threads:
        thread.start()
    for other in others:
        if (child := os.fork()) == 0:
            put_all([other])
            flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    for thread in threads:
        thread.join()


def has_children(method, *keys):
    """Put in children of `multiprocessing`, which leave by a way of their own."""
    context = multiprocessing.get_context(method)
    put_all(keys[:1])
    children = [context.Process(target=put_all, args=([key],)) for key in keys[1:]]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0


def serves(port):
    """Run uvicorn from a program whose handler was there first."""
    import uvicorn

    flush_on_sigterm()
    uvicorn.run(bare, port=int(port), lifespan="off", log_level="warning")


def kills_the_thread(*keys):
    """End the flusher's thread with an exception from outside, and exit without another put."""
    put_all(keys)
    FLUSHER._run = None  # nothing can start another
    import ctypes

    thread = FLUSHER.thread
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    with FLUSHER.lock:
        FLUSHER.changed.notify_all()
    thread.join(30)
    assert not thread.is_alive()


if __name__ == "__main__":
    _program, *_arguments = sys.argv[1:]
    globals()[_program](*_arguments)
