"""The write-behind buffer among threads: those who put, those who flush, and those who die."""

import ctypes
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from session_mgmt.db.flusher import FLUSHER
from session_mgmt.db.lane import Lane
from session_mgmt.db.write_behind import Buffer, flush
from session_mgmt.exceptions import BufferFullError, FlushError
from session_mgmt.models import Progress
from tests.faults.buffered import Recorder, new_sessions, only_when_asked, steps, write
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def settled(settings):
    with only_when_asked(settings):
        yield


@pytest.fixture
def recorder():
    return Recorder()


# Too many items, and those who put meanwhile


def test_put_waits_neither_for_a_write_nor_for_its_lock(recorder):
    buffer = Buffer("b", recorder)
    (one,) = new_sessions(1)
    with ThreadPoolExecutor(1) as pool:
        recorder.go_on.clear()
        buffer.put(one, 1)
        flushed = pool.submit(flush)
        assert recorder.begun.wait(30)
        buffer.put(one, 2)
        buffer.put(one, 3)
        assert buffer.counts.waiting == 2  # one in hand, and its successor
        assert not flushed.done()
        recorder.go_on.set()
        flushed.result()
    flush()
    assert recorder.batches == [[(one, 1)], [(one, 3)]]


def test_a_full_buffer_refuses_new_keys_after_a_while(recorder):
    buffer = Buffer("b", recorder, max_pending=2)
    one, two, three = new_sessions(3)
    recorder.go_on.clear()
    buffer.put(one, 1)
    buffer.put(two, 1)
    began = time.monotonic()
    with pytest.raises(BufferFullError) as raised:
        buffer.put(three, 1)
    assert time.monotonic() - began >= 1.0
    assert (raised.value.buffer, raised.value.using) == ("b", "default")
    assert buffer.counts == (2, 0, 0, 0, 1)
    recorder.go_on.set()
    flush()
    assert steps() == {one: 1, two: 1}


def test_a_full_buffer_makes_room_for_who_waits(recorder):
    buffer = Buffer("b", recorder, max_pending=2)
    keys = new_sessions(9)
    for key in keys:
        buffer.put(key, 1)
        buffer.put(key, 2)
    flush()
    assert steps() == dict.fromkeys(keys, 2)
    assert max(map(len, recorder.batches)) == 2


def test_a_signal_handler_may_put_while_its_thread_puts():
    written = {}

    def interrupted(older, newer):
        signal.raise_signal(signal.SIGUSR1)
        return newer

    buffer = Buffer("b", lambda using, items: written.update(items), merge=interrupted)
    before = signal.signal(signal.SIGUSR1, lambda *_: buffer.put("handler", 1))
    try:
        buffer.put("key", 1)
        buffer.put("key", 2)
    finally:
        signal.signal(signal.SIGUSR1, before)
    flush()
    assert written == {"key": 2, "handler": 1}


# The barrier


def test_flush_is_a_barrier_for_every_thread_that_calls_it():
    buffer = Buffer("b", write)
    keys = new_sessions(40)

    def put_and_look(key):
        buffer.put(key, 3)
        flush(timeout=60)
        try:
            return Progress.objects.get(session_id=key).current_step
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put_and_look, keys)) == [3] * len(keys)


def test_flush_is_a_barrier_for_what_a_round_has_in_hand(recorder):
    buffer = Buffer("b", recorder)
    (one,) = new_sessions(1)
    with ThreadPoolExecutor(2) as pool:
        recorder.go_on.clear()
        buffer.put(one, 1)
        calls = [pool.submit(flush)]
        assert recorder.begun.wait(30)
        asked = FLUSHER._asked
        calls.append(pool.submit(flush))
        wait_until(lambda: FLUSHER._asked > asked)
        assert not calls[1].done()
        recorder.go_on.set()
        for call in calls:
            call.result()
    assert recorder.batches == [[(one, 1)]]


# Threads that die


def kill(thread, exception):
    """Raise an exception in a thread, wherever it is."""
    ident = ctypes.c_ulong(thread.ident)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(exception)) == 1


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, ValueError])
def test_another_thread_follows_one_that_died(exception, caplog):
    buffer = Buffer("b", write)
    one, two = new_sessions(2)
    buffer.put(one, 1)
    first = FLUSHER.thread
    kill(first, exception)
    flush()  # it wakes, dies, and another does it
    assert steps() == {one: 1}
    assert "died" in caplog.text
    assert not first.is_alive()
    kill(FLUSHER.thread, exception)
    with FLUSHER.lock:
        FLUSHER.changed.notify_all()
        assert FLUSHER.changed.wait_for(lambda: FLUSHER.thread is None, 30)
    buffer.put(two, 2)
    assert FLUSHER.thread.is_alive()
    flush()
    assert steps() == {one: 1, two: 2}


@pytest.mark.parametrize("step", ["take", "write_out", "settle"])
def test_a_thread_that_dies_in_a_round_loses_nothing(step, monkeypatch, caplog):
    buffer = Buffer("b", write)
    keys = new_sessions(3)
    original, left = getattr(Lane, step), [SystemExit, MemoryError]

    def die_twice(lane, *arguments):
        if left:
            raise left.pop()
        return original(lane, *arguments)

    monkeypatch.setattr(Lane, step, die_twice)
    for key in keys:
        buffer.put(key, 1)
    flush()
    assert steps() == dict.fromkeys(keys, 1)
    assert buffer.counts.waiting == 0
    assert caplog.text.count("died") == 2


def test_a_writer_that_says_stop_is_asked_again(recorder):
    def write_or_leave(using, items):
        recorder(using, items)
        if len(recorder.batches) == 1:
            raise SystemExit

    buffer = Buffer("b", write_or_leave)
    (one,) = new_sessions(1)
    buffer.put(one, 1)
    with pytest.raises(FlushError, match="SystemExit"):
        flush(timeout=0.3)
    assert steps() == {}
    flush()
    assert steps() == {one: 1}
