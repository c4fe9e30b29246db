"""The manager, the session and the wait of seed 001 for tests."""

import threading
from uuid import uuid4

import pytest
from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus, InvalidInputError, MediaType
from session_mgmt.models import GenerationSession
from session_mgmt.sessions import SessionManager
from session_mgmt.testing import (
    create_mock_session,
    create_test_session_manager,
    wait_for_cleanup,
)

NUMBER = uuid4()
REQUEST = GenerationRequest(story_text="A story.")


# The manager


@pytest.mark.django_db
def test_the_manager_holds_five_sessions_and_starts_no_thread():
    manager = create_test_session_manager()
    for _ in range(7):
        manager.create_session(REQUEST)
    assert manager.get_session_count() == 5
    assert not manager.cleanup_active
    assert manager.cleanup_interval is None


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [2, None])
def test_the_manager_takes_another_limit(limit):
    manager = create_test_session_manager(max_sessions=limit)
    for _ in range(6):
        manager.create_session(REQUEST)
    assert manager.get_session_count() == (limit or 6)


def test_the_manager_refuses_a_limit_that_is_none():
    with pytest.raises(InvalidInputError, match="max_sessions"):
        create_test_session_manager(0)
    with pytest.raises(InvalidInputError, match="policy"):
        create_test_session_manager(policy="forget")


# The session; these tests have no database, so a query would fail them


def test_a_mock_session_is_the_seeds_and_needs_no_database():
    before = timezone.now()
    session = create_mock_session()
    assert session.status is GenerationStatus.PENDING
    assert session.request_data == GenerationRequest(
        story_text="Test story for session", media_type=MediaType.CINEMATIC, num_scenes=3
    )
    assert session.scenes == []
    assert session.progress is None
    assert before <= session.created_at <= session.last_accessed <= timezone.now()
    assert 0 <= session.get_age_hours() < 1
    assert session.finished_at is None
    assert str(session) == session.session_id
    assert session.session_id != create_mock_session().session_id


@pytest.mark.parametrize("given", [NUMBER, str(NUMBER), NUMBER.hex], ids=["UUID", "text", "hex"])
def test_a_mock_session_takes_an_id(given):
    session = create_mock_session(given)
    assert session.pk == NUMBER
    assert session.session_id == str(NUMBER)


@pytest.mark.parametrize("status", GenerationStatus)
def test_a_mock_session_stands_where_it_is_put(status):
    session = create_mock_session(status=status)
    assert session.status is status
    assert (session.finished_at is not None) is status.is_terminal


@pytest.mark.parametrize("bad", ["", "test_session_1700000000", 5, b"x", [], "\x00"])
def test_a_mock_session_refuses_what_is_no_id(bad):
    with pytest.raises(InvalidInputError, match="session_id: must be a UUID"):
        create_mock_session(bad)


@pytest.mark.parametrize("bad", ["", "done", None, 5, []])
def test_a_mock_session_refuses_what_is_no_status(bad):
    with pytest.raises(InvalidInputError, match="status"):
        create_mock_session(status=bad)


@pytest.mark.django_db
def test_a_mock_session_can_be_saved_and_worked_on():
    session = create_mock_session(status=GenerationStatus.PROCESSING)
    manager = create_test_session_manager()
    assert manager.get_session(session.pk) is None
    session.save()
    assert manager.update_session_progress(session.pk, 1, 3, "Drawing")
    session.refresh_from_db()
    assert session.progress.current_step == 1
    assert manager.get_session(session.pk) == session
    assert GenerationSession.objects.count() == 1


# The wait


@pytest.fixture
def busy(transactional_db):
    with SessionManager(None, cleanup_interval=3600) as manager:
        manager.create_session(REQUEST)
        assert manager.cleanup_active
        yield manager


def test_waiting_ends_in_time_while_the_thread_runs(busy):
    assert wait_for_cleanup(busy, max_wait=0) is False
    assert wait_for_cleanup(busy, max_wait=0.05) is False
    assert busy.cleanup_active


def test_waiting_ends_when_the_thread_does(busy):
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(wait_for_cleanup(busy)))
    waiting.start()
    assert not answers
    busy.shutdown()
    waiting.join(10)
    assert answers == [True]


def test_waiting_for_a_manager_without_a_thread_is_over_at_once():
    assert wait_for_cleanup(create_test_session_manager(), max_wait=0) is True


def test_nothing_is_to_wait_for_after_a_shutdown(busy):
    busy.shutdown()
    assert wait_for_cleanup(busy, 0) is True


@pytest.mark.parametrize("bad", [-1, float("nan"), "10", None, True])
def test_waiting_refuses_what_is_no_time(bad):
    with pytest.raises(InvalidInputError, match="max_wait"):
        wait_for_cleanup(create_test_session_manager(), bad)


@pytest.mark.parametrize("bad", [None, "manager", SessionManager])
def test_waiting_refuses_what_is_no_manager(bad):
    with pytest.raises(InvalidInputError, match="session_manager"):
        wait_for_cleanup(bad)
