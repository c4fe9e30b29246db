"""The write-behind buffer against real databases that refuse, stall and go away."""

import logging
import time
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction
from django.utils.connection import ConnectionDoesNotExist

from session_mgmt.db.write_behind import Buffer, flush
from session_mgmt.exceptions import FlushError
from session_mgmt.models import Progress
from tests.faults.buffered import Recorder, new_sessions, only_when_asked, steps, write
from tests.faults.proxy import Cut, next_ones
from tests.faults.servers import ON_POSTGRES, run
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def settled(settings):
    with only_when_asked(settings):
        yield


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def impatient(monkeypatch):
    """Whoever connects from now on does not wait for locks."""
    options = connections.settings["default"].setdefault("OPTIONS", {})
    if connection.vendor == "sqlite":
        monkeypatch.setitem(options, "timeout", 0.05)
    else:
        monkeypatch.setitem(options, "options", "-c lock_timeout=50ms")


# What is written, and when


def test_many_values_cost_one_write_of_the_latest(recorder):
    buffer = Buffer("b", recorder)
    one, two = new_sessions(2)
    for step in range(1000):
        buffer.put(one, step)
        buffer.put(two, 2 * step)
    assert recorder.batches == []
    flush()
    assert recorder.batches == [[(one, 999), (two, 1998)]]
    assert steps() == {one: 999, two: 1998}
    assert buffer.counts == (0, 2, 0, 0, 0)


def test_it_is_written_without_being_asked_for(settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0.05}
    buffer = Buffer("b", write)
    (one,) = new_sessions(1)
    for step in range(3):
        buffer.put(one, step)
        wait_until(lambda step=step: steps() == {one: step})
    wait_until(lambda: buffer.counts.waiting == 0)


def test_no_connection_is_held_between_rounds(recorder):
    buffer = Buffer("b", recorder)
    (one,) = new_sessions(1)
    buffer.put(one, 1)
    flush()
    (used,) = recorder.connections
    assert used.connection is None
    assert used is not connection


@ON_POSTGRES
def test_no_slot_of_a_pool_is_held_between_rounds(server, pooled):
    buffer = Buffer("b", lambda using, items: run(connections[using], "SELECT 1"))
    for step in range(3):
        buffer.put("key", step, using=pooled)
        flush()
        assert run(connections[pooled], "SELECT 1") == (1,)  # the only slot
        connections[pooled].close()


def test_an_interval_of_zero_writes_in_the_callers_transaction(settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0}
    buffer = Buffer("b", write)
    one, two = new_sessions(2)
    buffer.put(one, 1)
    with transaction.atomic():
        buffer.put(two, 2)
        assert steps() == {one: 1, two: 2}
        transaction.set_rollback(True)
    assert steps() == {one: 1}
    with pytest.raises(ValueError, match="soon"):
        buffer.put(two, "soon")
    assert buffer.counts.waiting == 0


def test_an_unknown_database_is_told_to_who_names_it():
    with pytest.raises(ConnectionDoesNotExist):
        Buffer("b", write).put("key", 1, using="nowhere")


# Items that are refused for good


POISON = {
    "refused-at-commit": lambda key: (uuid4(), 1),  # a foreign key is checked then
    "refused-by-the-statement": lambda key: (key, -1),
    "refused-by-the-writer": lambda key: (key, "secret"),
}


@pytest.mark.parametrize("poison", POISON)
def test_an_item_that_is_refused_does_not_stop_the_others(poison, caplog):
    buffer = Buffer("b", write)
    keys = new_sessions(50)
    bad = dict(POISON[poison](keys[index]) for index in (7, 30))
    for key, step in (dict.fromkeys(keys, 5) | bad).items():
        buffer.put(key, step)
    flush()
    good = {key: 5 for key in keys if key not in bad}
    assert steps() == good
    assert buffer.counts == (0, len(good), 0, 2, 0)
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert sorted(lines) == sorted(line for key in bad for line in lines if str(key) in line)
    assert len(lines) == 2
    assert "secret" not in caplog.text


def test_a_flood_of_refusals_is_logged_briefly(caplog):
    buffer = Buffer("b", write)
    for _ in range(100):
        buffer.put(uuid4(), 1)
    flush()
    assert buffer.counts.failed == 100
    assert len(caplog.records) == 21
    assert "80 more" in caplog.text


# Databases that are busy or away


@pytest.fixture
def row():
    """A session whose progress can be locked."""
    (key,) = new_sessions(1)
    write("default", [(key, 0)])
    return key


def test_what_meets_a_lock_is_kept_and_the_newer_value_wins(impatient, row, caplog):
    buffer = Buffer("b", write)
    began = time.monotonic()
    with transaction.atomic():
        Progress.objects.update(current_step=1)
        for step in (2, 3, 4):
            buffer.put(row, step)
            with pytest.raises(FlushError) as raised:
                flush(timeout=0.3)
            assert raised.value.waiting >= 1
    flush()
    assert steps() == {row: 4}
    assert buffer.counts.written == 1
    assert buffer.counts.requeued >= 3
    assert 1 <= len(caplog.records) <= 1 + (time.monotonic() - began)


def test_it_is_tried_again_by_itself_less_and_less_often(settings, impatient, row):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0.05}
    buffer = Buffer("b", write)
    with transaction.atomic():
        Progress.objects.update(current_step=1)
        buffer.put(row, 2)
        wait_until(lambda: buffer.counts.requeued == 1)
        began = time.monotonic()
        wait_until(lambda: buffer.counts.requeued == 6)
        assert time.monotonic() - began > 0.05 + 0.1 + 0.2 + 0.4 + 0.8 - 0.05
    wait_until(lambda: buffer.counts.written == 1)
    assert steps() == {row: 2}


def test_values_merge_in_the_order_in_which_they_came(impatient, row):
    written = {}

    def write_words(using, items):
        Progress.objects.using(using).update(current_step=2)
        written.update(items)

    buffer = Buffer("b", write_words, merge=lambda older, newer: older + newer)
    with transaction.atomic():
        Progress.objects.update(current_step=1)
        for word in "abc":
            buffer.put("key", word)
            with pytest.raises(FlushError):
                flush(timeout=0.2)
        buffer.put("key", "d")
    flush()
    assert written == {"key": "abcd"}


def write_numbers(using, items):
    """Store what never goes back, in the table of the server that a test may break."""
    for key, number in items:
        sql = "UPDATE fault_row SET number = %s WHERE id = %s AND number < %s"
        run(connections[using], sql, number, key, number)


@ON_POSTGRES
def test_a_database_that_is_away_loses_nothing_and_stops_no_other(server, faulty, caplog):
    away, here = Buffer("away", write_numbers), Buffer("here", write)
    (one,) = new_sessions(1)
    server.stop()
    began = time.monotonic()
    for number in (1, 2, 3):
        away.put(1, number, using=faulty)
        away.put(2, number, using=faulty)
        here.put(one, number)
        with pytest.raises(FlushError, match="away: "):
            flush(timeout=0.5)
    assert steps() == {one: 3}
    assert away.counts[:2] == (2, 0)
    assert 1 <= len(caplog.records) <= 1 + (time.monotonic() - began)
    server.start()
    flush(timeout=30)
    assert server.numbers() == {1: 3, 2: 3}
    assert away.counts[:2] == (0, 2)


@ON_POSTGRES
def test_a_connection_that_is_lost_in_a_write_loses_nothing(server, faulty):
    lost = []

    def write_and_lose(using, items):
        write_numbers(using, items)
        if not lost:
            lost.append(using)
            run(connections[using], "SELECT pg_terminate_backend(pg_backend_pid())")

    buffer = Buffer("b", write_and_lose)
    buffer.put(1, 1, using=faulty)
    buffer.put(2, 1, using=faulty)
    with pytest.raises(FlushError):
        flush(timeout=1)
    assert buffer.counts[:3] == (2, 0, 2)
    flush()
    assert server.numbers() == {1: 1, 2: 1}


@ON_POSTGRES
def test_a_commit_whose_answer_is_lost_is_repeated(server, proxy, proxied):
    buffer = Buffer("b", write_numbers)
    proxy.plan = next_ones(Cut.REPLY)
    buffer.put(1, 1, using=proxied)
    with pytest.raises(FlushError):
        flush(timeout=1)
    assert server.numbers()[1] == 1
    server.execute("UPDATE fault_row SET number = 7 WHERE id = 1")
    flush()
    assert server.numbers()[1] == 7, "the repetition overwrote something newer"
    assert proxy.counts["seen"] == 2
