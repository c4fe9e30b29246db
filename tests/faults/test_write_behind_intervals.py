"""Buffers with an interval of their own, buffers without a database, and items put back."""

import math
import threading
import time
from itertools import pairwise

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from session_mgmt.db.flusher import FLUSHER
from session_mgmt.db.write_behind import Buffer, flush
from session_mgmt.exceptions import BufferFullError, FlushError
from tests.faults.buffered import new_sessions, only_when_asked, steps
from tests.faults.test_write_behind_processes import started
from tests.processes import wait_until

# Only these may touch the database: pytest-django lets no other test connect, in any thread.
ON_DATABASE = pytest.mark.django_db(transaction=True)
NEVER = math.inf


@pytest.fixture(autouse=True)
def settled(settings):
    with only_when_asked(settings):
        yield


class Memory:
    """What a buffer wrote, when, and by which thread; it can be told to put back or to fail."""

    def __init__(self):
        self.values, self.moments, self.threads = {}, [], set()
        self.back, self.failures = 0, []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def __call__(self, using, items):
        self.moments.append(time.monotonic())
        self.threads.add(threading.current_thread())
        self.begun.set()
        assert self.go_on.wait(30)
        for key, value in items:
            if self.back:
                self.back -= 1
                self.buffer.put(key, value, using)
            else:
                self.values[key] = value
        if self.failures:
            raise self.failures.pop()

    def buffered(self, interval=NEVER, durable=False, **options):
        """Return a buffer of this memory; `interval` may be a function."""
        ask = interval if callable(interval) else lambda: interval
        self.buffer = Buffer("memory", self, interval=ask, durable=durable, **options)
        return self.buffer


@pytest.fixture
def memory():
    return Memory()


def put(buffer, key, value):
    buffer.put(key, value, using="memory")


def lane_of(buffer):
    (lane,) = buffer._lanes.values()
    return lane


def gaps(moments):
    return [later - earlier for earlier, later in pairwise(moments)]


# An interval of its own


def test_each_buffer_has_its_own_pace_and_all_have_one_thread():
    often, later, never = Memory(), Memory(), Memory()
    often.buffered(0.06), later.buffered(0.5), never.buffered()
    put(never.buffer, 1, 0)
    wait_until(lambda: FLUSHER.changed._waiters)  # the thread sleeps when the others come
    began = time.monotonic()
    put(later.buffer, 1, 0)
    for step in range(4):
        before = time.monotonic()
        put(often.buffer, 1, step)
        wait_until(lambda step=step: often.values == {1: step})
        assert often.moments[-1] - before >= 0.06
    wait_until(lambda: later.values == {1: 0})
    assert later.moments[0] - began >= 0.5
    assert never.values == {}
    flush()
    assert never.values == {1: 0}
    assert often.threads == later.threads == never.threads
    assert len(often.moments) == 4


def test_what_comes_during_a_write_is_written_an_interval_later(memory):
    buffer = memory.buffered(0.2)
    memory.go_on.clear()
    put(buffer, 1, 1)
    assert memory.begun.wait(30)
    put(buffer, 1, 2)
    ended = time.monotonic()
    memory.go_on.set()
    wait_until(lambda: memory.values == {1: 2})
    assert memory.moments[1] - ended >= 0.2
    wait_until(lambda: buffer.counts == (0, 2, 0, 0, 0))


def test_the_interval_is_asked_when_the_first_item_comes(memory):
    intervals = [NEVER, 0.05]
    buffer = memory.buffered(lambda: intervals.pop(0))
    for key in range(50):
        put(buffer, key, 1)
    assert intervals == [0.05]
    flush()
    assert intervals == [0.05]
    put(buffer, 50, 1)
    wait_until(lambda: 50 in memory.values)
    assert intervals == []


def test_an_interval_of_nothing_does_not_make_the_thread_spin(memory):
    for strange in (0, -1.0, math.nan):
        buffer = memory.buffered(strange)
        memory.moments.clear()
        memory.back = 5
        put(buffer, 1, strange)
        wait_until(lambda strange=strange: memory.values.get(1) is strange)
        assert len(memory.moments) == 6
        assert min(gaps(memory.moments)) >= 0.05


def test_an_interval_that_fails_is_the_settings(memory, settings, caplog):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0.05}
    buffer = memory.buffered(lambda: 1 / 0)
    put(buffer, 1, 1)
    wait_until(lambda: memory.values == {1: 1})
    assert "there is no interval" in caplog.text


# It is changed while items wait


def test_a_shorter_interval_counts_at_once_when_told(memory):
    intervals = [NEVER]
    buffer = memory.buffered(lambda: intervals[0])
    put(buffer, 1, 1)
    intervals[0] = 0.1
    put(buffer, 2, 1)
    assert lane_of(buffer).due > time.monotonic() + 1000
    wait_until(lambda: FLUSHER.changed._waiters)  # the thread sleeps
    told = time.monotonic()
    buffer.reschedule()
    wait_until(lambda: memory.values == {1: 1, 2: 1})
    assert memory.moments[0] - told >= 0.1


def test_to_reschedule_nothing_does_nothing(memory):
    buffer = memory.buffered(lambda: pytest.fail("asked"))
    buffer.reschedule()
    buffer._open("memory")
    buffer.reschedule()
    assert lane_of(buffer).due is None


# After failures


def test_failures_start_at_the_buffers_interval_and_double(memory):
    memory.failures = [OperationalError()] * 4
    buffer = memory.buffered(0.1)
    put(buffer, 1, 1)
    wait_until(lambda: buffer.counts == (0, 1, 4, 0, 0))
    for gap, least in zip(gaps(memory.moments), (0.1, 0.2, 0.4, 0.8), strict=True):
        assert gap >= least
    memory.failures = [OperationalError()]
    put(buffer, 1, 2)
    wait_until(lambda: buffer.counts == (0, 2, 5, 0, 0))


def test_a_pause_after_a_failure_is_neither_moved_nor_longer_than_5_s(memory):
    memory.failures = [OperationalError()]
    buffer = memory.buffered()
    put(buffer, 1, 1)
    with pytest.raises(FlushError):
        flush(timeout=0.2)
    due = lane_of(buffer).due
    assert due <= time.monotonic() + 5
    put(buffer, 2, 1)
    buffer.reschedule()
    assert lane_of(buffer).due == due
    flush()
    assert memory.values == {1: 1, 2: 1}


# Without a database


def test_a_buffer_without_a_database_touches_none(memory, settings, monkeypatch):
    def touch(*_):
        pytest.fail("touched")

    monkeypatch.setattr(BaseDatabaseWrapper, "close", touch)
    monkeypatch.setattr(connections, "create_connection", touch)
    monkeypatch.setattr(transaction, "atomic", touch)
    memory.failures = [SystemExit(), OperationalError()]
    buffer = memory.buffered(0.05)
    for using in ("memory", "default"):  # it is but a name
        buffer.put(using, 1, using=using)
    wait_until(lambda: buffer.counts == (0, 2, 2, 0, 0))
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0}
    buffer.put("at once", 1, using="nowhere")
    assert memory.values == {"memory": 1, "default": 1, "at once": 1}
    assert buffer.counts == (0, 3, 2, 0, 0)


# What a writer puts back


def test_flush_does_not_wait_for_what_is_put_back(memory):
    memory.back = 3
    buffer = memory.buffered()
    put(buffer, 1, 1)
    put(buffer, 2, 1)
    flush()
    assert (memory.values, buffer.counts.waiting) == ({}, 2)
    flush()
    assert (memory.values, buffer.counts.waiting) == ({2: 1}, 1)
    flush()
    assert (memory.values, buffer.counts.waiting) == ({2: 1, 1: 1}, 0)


def test_what_is_put_back_is_written_by_itself_an_interval_later(memory):
    memory.back = 3
    buffer = memory.buffered(0.1)
    put(buffer, 1, 1)
    wait_until(lambda: memory.values == {1: 1})
    assert len(memory.moments) == 4
    assert min(gaps(memory.moments)) >= 0.1
    wait_until(lambda: buffer.counts.waiting == 0)


def test_what_is_put_back_needs_no_room(memory):
    memory.back = 2
    buffer = memory.buffered(max_pending=2)
    put(buffer, 1, 1)
    put(buffer, 2, 1)
    began = time.monotonic()
    flush()
    assert time.monotonic() - began < 1  # for that long, a put waits for room
    assert buffer.counts == (2, 2, 0, 0, 0)
    memory.back = 4
    with pytest.raises(BufferFullError):  # twice as many for a moment, but never for good
        memory.go_on.clear()
        put(buffer, 3, 1)
    memory.go_on.set()
    flush()
    memory.back = 0
    flush()
    assert memory.values == {1: 1, 2: 1}
    assert buffer.counts.waiting == 0


def test_what_is_put_back_before_a_failure_merges_with_itself(memory):
    memory.back, memory.failures = 1, [OperationalError()]
    buffer = memory.buffered(merge=max)
    put(buffer, 1, 3)
    with pytest.raises(FlushError):
        flush(timeout=0.2)
    assert buffer.counts == (2, 0, 1, 0, 0)
    put(buffer, 1, 2)
    flush()
    assert memory.values == {1: 3}
    assert buffer.counts == (0, 1, 1, 0, 0)


# ... in the caller's thread


@pytest.fixture
def at_once(settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0}


def test_what_is_put_back_at_once_waits_for_the_next_put(at_once, memory):
    memory.back = 2
    buffer = memory.buffered(0.05, merge=lambda older, newer: older + newer)
    put(buffer, 1, "a")
    assert (len(memory.moments), buffer.counts.waiting) == (1, 1)
    put(buffer, 2, "x")
    assert (len(memory.moments), buffer.counts.waiting) == (2, 2)
    put(buffer, 1, "b")
    assert memory.values == {1: "ab"}
    assert buffer.counts.waiting == 1
    assert lane_of(buffer).due is None  # the thread does not come for it
    flush()
    assert memory.values == {1: "ab", 2: "x"}
    assert buffer.counts.waiting == 0
    assert memory.threads == {threading.current_thread()}


def test_what_is_put_back_at_once_is_put_back_again_by_a_flush(at_once, memory):
    memory.back = 3
    buffer = memory.buffered()
    put(buffer, 1, 1)
    for _ in range(2):
        flush()
        assert buffer.counts.waiting == 1
    flush()
    assert memory.values == {1: 1}
    memory.back = 1
    put(buffer, 2, 2)
    memory.failures = [ValueError("wrong")]
    with pytest.raises(ValueError, match="wrong"):
        flush()
    assert buffer.counts.waiting == 0


def test_another_key_is_written_at_once_inside_of_a_write(at_once):
    written = []

    def store(using, items):
        for key, value in items:
            put(buffer, value, key)  # 1 puts 2, which puts 1 back
            written.append(key)

    buffer = Buffer("b", store, durable=False)
    put(buffer, 1, 2)
    assert written == [2, 1]
    assert buffer.counts.waiting == 1
    lane_of(buffer).pop()


def test_what_was_put_back_at_once_is_written_when_there_is_a_thread_again(memory, settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0}
    memory.back = 1
    buffer = memory.buffered(0.05)
    put(buffer, 1, 1)
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 3600}
    put(buffer, 2, 2)
    wait_until(lambda: memory.values == {1: 1, 2: 2})


# ... while Python exits


@ON_DATABASE
def test_an_exit_does_not_wait_for_ever_for_what_is_put_back(memory, caplog):
    memory.back = math.inf
    buffer = memory.buffered(durable=True)
    buffer.put(1, 1)
    FLUSHER.finish()
    assert 1 < len(memory.moments) <= 20
    assert buffer.counts.waiting == 1
    assert "loses buffered items" in caplog.text
    lane_of(buffer).pop()


def test_an_exit_does_not_wait_for_memory(memory):
    buffer = memory.buffered()
    put(buffer, 1, 1)
    FLUSHER.finish()
    assert memory.moments == []
    flush()


EXIT = """
import sys
from tests.faults.buffered import Buffer, UUID, write
left = [1, 2, 3]

def store(using, items):
    for item in items:
        if left:
            left.pop()
            buffer.put(*item)
        else:
            write(using, [item])

buffer = Buffer("b", store, interval=lambda: 3600)
buffer.put(UUID(sys.argv[1]), 1)
"""


@ON_DATABASE
def test_an_exit_tries_again_what_is_put_back():
    (one,) = new_sessions(1)
    with started("-c", EXIT, str(one)) as process:
        assert process.wait(60) == 0
    assert steps() == {one: 1}
