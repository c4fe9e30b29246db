"""Tracked progress with a real flusher: among threads, processes and open transactions."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created

from session_mgmt import GenerationRequest
from session_mgmt.db.write_behind import flush
from session_mgmt.exceptions import FlushError
from session_mgmt.models import GenerationSession, Progress
from session_mgmt.models.tracking import PROGRESS
from session_mgmt.sessions import session_manager
from session_mgmt.signals import progress_updated
from tests.concurrency.tracked import remove_all, track_all, write_in_any_order
from tests.processes import ROOT, environment, in_processes, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRES = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="SQLite has one writer at a time"
)


@pytest.fixture(autouse=True)
def when_asked(settings):
    """Let nothing be written without being asked for, and nothing be left for the next test."""
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 3600}
    yield
    flush()


@pytest.fixture
def session():
    return new_session()


def new_session():
    return session_manager.start(GenerationRequest(story_text="x"))


def steps():
    return dict(Progress.objects.values_list("session_id", "current_step"))


def steps_of_others():
    """Return what somebody else sees."""

    def look():
        try:
            return steps()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(look).result()


# Transactions


@ON_POSTGRES
def test_progress_is_seen_outside_while_the_callers_transaction_is_open(session):
    other = new_session()
    with transaction.atomic():
        GenerationSession.objects.select_for_update(no_key=True).get(pk=session.pk)
        session_manager.update_session_status(session.pk, "processing")
        for step in session.track(range(5)):
            flush()
            assert steps_of_others()[session.pk] == step
        list(other.track("ab"))
        flush()
        assert steps_of_others() == {session.pk: 5, other.pk: 2}
        transaction.set_rollback(True)
    assert steps() == {session.pk: 5, other.pk: 2}


def test_a_session_that_is_not_committed_yet_shows_its_progress_afterwards():
    with transaction.atomic():
        session = new_session()
        list(session.track("abc"))
        if connection.vendor == "postgresql":
            flush()
            assert steps() == {}
    flush()
    assert steps() == {session.pk: 3}


def test_what_a_transaction_stored_after_tracking_stays():
    with transaction.atomic():
        session = new_session()
        list(session.track("abc"))
        session_manager.update_session_progress(session.pk, 10, 10, "done")
    flush()
    assert steps() == {session.pk: 10}


# What the flusher does


@pytest.fixture
def statements():
    """What other threads execute from now on."""
    heard = []

    def spy(execute, sql, params, many, context):
        heard.append(sql.split()[0])
        return execute(sql, params, many, context)

    def watch(connection, **_):
        if threading.current_thread() is not threading.main_thread():
            connection.execute_wrappers.append(spy)

    connection_created.connect(watch)
    yield heard
    connection_created.disconnect(watch)


def test_a_round_is_one_statement_for_all_sessions(statements):
    trackers = [new_session().track(total=9) for _ in range(50)]
    for _ in range(2):
        for tracker in trackers:
            for _ in range(3):
                tracker.step()
        statements.clear()
        flush()
        assert [sql for sql in statements if sql != "BEGIN"] == ["INSERT"]
    assert list(steps().values()) == [6] * 50


def test_it_is_written_without_being_asked_for(settings, session):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0.05}
    with session.track() as progress:
        for step in range(3):
            wait_until(lambda step=step: steps() == {session.pk: step})
            progress.step()


def test_a_step_between_reading_and_settling_is_not_lost(session):
    with session.track() as progress:
        progress.step()
        heard = []

        def receive(session_id, **news):
            heard.append((session_id, news["progress"].current_step, threading.current_thread()))
            if len(heard) == 1:
                progress.step()  # what it was read for is committed; the round is not over

        progress_updated.connect(receive)
        try:
            flush()
            flush()
        finally:
            progress_updated.disconnect(receive)
    assert [(one, step) for one, step, _ in heard] == [(str(session.pk), n) for n in (1, 2)]
    assert {thread.name for _, _, thread in heard} == {"session-mgmt-flusher"}
    assert steps() == {session.pk: 2}


def test_what_meets_a_lock_is_kept_and_the_newest_state_is_written(session, monkeypatch):
    options = connections.settings["default"].setdefault("OPTIONS", {})
    if connection.vendor == "sqlite":
        monkeypatch.setitem(options, "timeout", 0.05)
    else:
        monkeypatch.setitem(options, "options", "-c lock_timeout=50ms")
    session_manager.update_session_progress(session.pk, 0, 0, "")
    with session.track() as progress:
        with transaction.atomic():
            Progress.objects.update(description="locked")
            for _ in range(3):
                progress.step()
                with pytest.raises(FlushError):
                    flush(timeout=0.2)
        flush()
        assert steps() == {session.pk: 3}
        progress.step()
    flush()
    assert steps() == {session.pk: 4}


def test_trackers_of_one_session_that_alternate_lose_no_step(session):
    one, two = session.track(), session.track()
    two.step(100)
    one.step()
    two.step()
    flush()
    assert steps() == {session.pk: 101}
    one.step()
    flush()
    assert steps() == {session.pk: 2}
    two.step()
    flush()
    assert steps() == {session.pk: 102}


def test_a_removed_session_spoils_nothing(caplog):
    sessions = [new_session() for _ in range(20)]
    failed = PROGRESS.counts.failed
    trackers = [session.track() for session in sessions]
    for tracker in trackers:
        tracker.step()
    for session in sessions[::2]:
        session_manager.remove_session(session.pk)
    caplog.clear()
    flush()
    assert steps() == {session.pk: 1 for session in sessions[1::2]}
    assert PROGRESS.counts.failed == failed
    assert caplog.records == []


# Threads and processes


def test_threads_that_step_one_tracker_lose_no_step(session, settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0.05}
    each = 50_000
    with session.track(total=4 * each) as progress:

        def work():
            for _ in range(each):
                progress.step()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    flush()
    row = Progress.objects.get()
    assert (row.current_step, row.total_steps) == (4 * each, 4 * each)
    assert row.rate > 0


def test_processes_that_write_the_same_sessions_do_not_deadlock():
    ids = [str(new_session().pk) for _ in range(300)]
    in_processes(write_in_any_order, [[ids, number, 60] for number in range(3)])
    assert set(steps().values()) == {59}


def test_sessions_may_be_removed_while_their_progress_is_written():
    ids = [str(new_session().pk) for _ in range(200)]
    writers = [["write", ids, number, 40] for number in range(2)]
    *_, removed = in_processes(do, [*writers, ["remove", ids[:150]]])
    assert removed == 150
    assert {str(one) for one in steps()} == set(ids[150:])


def do(name, *arguments):
    return {"write": write_in_any_order, "remove": remove_all}[name](*arguments)


def test_processes_that_track_the_same_sessions_lose_nothing():
    ids = [str(new_session().pk) for _ in range(100)]
    in_processes(track_all, [[ids, 300]] * 2)
    assert list(steps().values()) == [300] * 100


def program(name, *arguments):
    command = [sys.executable, "-m", "tests.concurrency.tracked", name, *map(str, arguments)]
    forking = "error,ignore:This process:DeprecationWarning"
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(PYTHONWARNINGS=forking),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_kill_9_loses_at_most_one_interval(session):
    interval, slack = 0.25, 1.5
    with program("hammers", interval) as process:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))
        reader.start()
        wait_until(lambda: len(lines) > 200)  # more than 2 s
        ended = time.time()
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
        reader.join()
    told = [(int(step), float(moment)) for step, moment in map(str.split, lines)]
    safe = [step for step, moment in told if moment < ended - interval - slack]
    assert steps()[session.pk] >= max(safe)


def test_a_tracker_goes_on_in_a_forked_child(session):
    with program("forks") as process:
        assert process.wait(60) == 0
    assert steps() == {session.pk: 5}
