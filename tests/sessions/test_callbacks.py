"""Callbacks are told what happened once it has committed, and can spoil nothing."""

import gc
import logging
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from session_mgmt import (
    GenerationRequest,
    GenerationStatus,
    InvalidInputError,
    ScenePrompt,
    signals,
)
from session_mgmt.models import GenerationSession
from session_mgmt.sessions import SessionManager
from session_mgmt.sessions.callbacks import EVENTS, register_callback, unregister_callback

pytestmark = pytest.mark.django_db(transaction=True)

REQUEST = GenerationRequest(story_text="A story.")


@pytest.fixture
def manager():
    return SessionManager()


class Listener:
    """Keeps what it was told; two of them are never equal."""

    def __init__(self):
        self.heard = []

    def hear(self, session_id, session):
        self.heard.append((session_id, session))


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def register(manager):
    """Register callbacks that are forgotten when the test ends."""
    registered = []

    def add(event_type, callback):
        assert manager.register_session_callback(event_type, callback) is None
        registered.append((event_type, callback))

    yield add
    for event_type, callback in registered:
        manager.unregister_session_callback(event_type, callback)


def test_every_signal_of_a_session_is_an_event():
    others = {"announce", "jobs_pending"}
    assert set(EVENTS) == set(signals.__all__) - others


def test_callbacks_are_told_of_each_event_with_the_session_as_it_is_then(manager, register):
    heard = []
    for event in EVENTS:
        register(event, lambda *_, event=event: heard.append((event, *_)))
    session_id = manager.create_session(REQUEST)
    manager.update_session_status(session_id, GenerationStatus.PROCESSING)
    manager.update_session_progress(session_id, 1, 2, "Half")
    manager.add_scene_to_session(session_id, ScenePrompt(scene_number=1))
    manager.update_session_status(session_id, GenerationStatus.COMPLETED)
    manager.remove_session(session_id)
    assert [(event, session.status.value) for event, _, session in heard] == [
        ("session_created", "pending"),
        ("status_changed", "processing"),
        ("progress_updated", "processing"),
        ("scene_added", "processing"),
        ("status_changed", "completed"),
        ("session_completed", "completed"),
        ("session_removed", "completed"),
    ]
    assert {named for _, named, _ in heard} == {session_id}
    assert {session.session_id for *_, session in heard} == {session_id}


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (GenerationStatus.FAILED, "session_failed"),
        (GenerationStatus.CANCELLED, "session_cancelled"),
    ],
)
def test_each_ending_has_an_event_of_its_own(manager, register, listener, status, event):
    register(event, listener.hear)
    session_id = manager.create_session(REQUEST)
    manager.update_session_status(session_id, status)
    ((named, session),) = listener.heard
    assert (named, session.status) == (session_id, status)


def test_an_expired_session_comes_as_it_was(manager, register, listener):
    register("session_expired", listener.hear)
    session_id = manager.create_session(REQUEST)
    GenerationSession.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert manager.cleanup_expired_sessions() == 1
    ((named, session),) = listener.heard
    assert (named, session.session_id, session.request_data) == (session_id, session_id, REQUEST)


def test_the_session_and_its_progress_cost_one_query(manager, register, django_assert_num_queries):
    steps = []
    session_id = manager.create_session(REQUEST)
    manager.update_session_progress(session_id, 1, 4, "")
    register("progress_updated", lambda _, session: steps.append(session.progress.current_step))
    with django_assert_num_queries(2):
        manager.update_session_progress(session_id, 3, 4, "")
    assert steps == [3]


def test_a_callback_is_not_called_before_the_commit_nor_after_a_rollback(
    manager, register, listener
):
    register("session_created", listener.hear)
    with transaction.atomic():
        manager.create_session(REQUEST)
        assert listener.heard == []
    assert len(listener.heard) == 1
    with pytest.raises(RuntimeError), transaction.atomic():
        manager.create_session(REQUEST)
        raise RuntimeError
    assert len(listener.heard) == 1


def test_a_callback_for_a_session_that_has_gone_meanwhile_is_passed_over(
    manager, register, listener
):
    removed = Listener()
    register("session_created", listener.hear)
    register("session_removed", removed.hear)
    with transaction.atomic():
        session_id = manager.create_session(REQUEST)
        manager.remove_session(session_id)
    assert listener.heard == []
    assert [named for named, _ in removed.heard] == [session_id]


def test_a_callback_that_fails_is_logged_and_changes_nothing(manager, register, listener, caplog):
    def broken(session_id, session):
        raise RuntimeError("broken callback")

    register("session_created", broken)
    register("session_created", listener.hear)
    session_id = manager.create_session(REQUEST)
    assert manager.get_session(session_id) is not None
    assert [named for named, _ in listener.heard] == [session_id]
    assert "broken callback" in caplog.text


def test_what_a_callback_does_to_its_session_the_next_does_not_see(manager, register, listener):
    register("session_created", lambda _, session: setattr(session, "error_message", "changed"))
    register("session_created", listener.hear)
    manager.create_session(REQUEST)
    assert listener.heard[0][1].error_message == ""


def test_a_callback_that_nobody_else_holds_is_kept(manager, register):
    heard = []
    register("session_created", lambda session_id, _: heard.append(session_id))
    gc.collect()
    session_id = manager.create_session(REQUEST)
    assert heard == [session_id]


def test_registering_twice_calls_once_also_from_another_manager(manager, register, listener):
    register("session_created", listener.hear)
    register("session_created", listener.hear)
    SessionManager().register_session_callback("session_created", listener.hear)
    manager.create_session(REQUEST)
    assert len(listener.heard) == 1


def test_it_is_not_called_any_more_once_it_is_unregistered(manager, listener):
    manager.register_session_callback("session_created", listener.hear)
    assert manager.unregister_session_callback("session_failed", listener.hear) is False
    assert manager.unregister_session_callback("session_created", Listener().hear) is False
    assert manager.unregister_session_callback("session_created", listener.hear) is True
    assert manager.unregister_session_callback("session_created", listener.hear) is False
    manager.create_session(REQUEST)
    assert listener.heard == []


@pytest.mark.parametrize("event", ["created", "announce", "jobs_pending", "__name__", "", None, []])
def test_an_unknown_event_is_refused_and_the_known_ones_are_named(manager, listener, event):
    with pytest.raises(InvalidInputError, match=r"event_type: .* one of session_created, status"):
        manager.register_session_callback(event, listener.hear)
    with pytest.raises(InvalidInputError, match=r"event_type: "):
        manager.unregister_session_callback(event, listener.hear)


@pytest.mark.parametrize("callback", [None, "print", 5])
def test_what_cannot_be_called_is_refused(manager, callback):
    with pytest.raises(InvalidInputError, match="callback: must be callable"):
        manager.register_session_callback("session_created", callback)


def test_sessions_of_another_database_are_not_told(manager, listener):
    register_callback("session_removed", listener.hear, "another")
    try:
        manager.remove_session(manager.create_session(REQUEST))
    finally:
        assert unregister_callback("session_removed", listener.hear, "another")
    assert listener.heard == []


def test_the_seeds_private_way_to_tell_callbacks_still_works(manager, register, listener):
    register("session_failed", listener.hear)
    session = manager.start(REQUEST)
    manager._trigger_callbacks("session_failed", session.session_id, session)
    assert listener.heard == [(session.session_id, session)]


def test_counts_and_ages_are_logged_in_one_line_and_one_query(
    manager, caplog, django_assert_num_queries
):
    manager.create_session(REQUEST)
    GenerationSession.objects.update(created_at=timezone.now() - timedelta(minutes=90))
    with caplog.at_level(logging.INFO, "session_mgmt"), django_assert_num_queries(1):
        manager._log_memory_usage()
    (line,) = [record.getMessage() for record in caplog.records if "avg age" in record.message]
    assert line == f"Sessions: 1/{manager.max_sessions} (avg age: 1.5h) Status: {{'pending': 1}}"


def test_nothing_is_counted_for_a_log_that_nobody_keeps(manager, caplog, django_assert_num_queries):
    with caplog.at_level(logging.WARNING, "session_mgmt"), django_assert_num_queries(0):
        manager._log_memory_usage()
