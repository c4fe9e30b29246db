"""Every method of seed 001 as the document has it; only the imports differ."""

import inspect
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from session_mgmt import (
    GenerationRequest,
    GenerationStatus,
    MediaType,
    ProgressUpdate,
    ScenePrompt,
)
from session_mgmt.models import GenerationSession
from session_mgmt.sessions import SessionManager

pytestmark = pytest.mark.django_db

REQUEST = GenerationRequest(
    story_text="Test story for session", media_type=MediaType.CINEMATIC, num_scenes=3
)
UNKNOWN = "00000000-0000-0000-0000-000000000000"
NEEDED = inspect.Parameter.empty
SIGNATURES = {
    "__init__": {"max_sessions": 100, "cleanup_interval": 3600},
    "create_session": {"request": NEEDED},
    "get_session": {"session_id": NEEDED},
    "update_session_status": {"session_id": NEEDED, "status": NEEDED, "error_message": None},
    "update_session_progress": dict.fromkeys(
        ("session_id", "current_step", "total_steps", "description"), NEEDED
    ),
    "add_scene_to_session": {"session_id": NEEDED, "scene": NEEDED},
    "set_session_scenes": {"session_id": NEEDED, "scenes": NEEDED},
    "remove_session": {"session_id": NEEDED},
    "get_session_count": {},
    "get_all_sessions_info": {},
    "_cleanup_expired_sessions": {"max_age_hours": 24},
    "_remove_oldest_session": {},
    "_log_memory_usage": {},
    "cleanup_failed_sessions": {},
    "cleanup_completed_sessions": {"max_age_hours": 6},
    "force_cleanup_all": {},
    "with_session_lock": {"session_id": NEEDED, "operation": NEEDED},
    "atomic_session_update": {"session_id": NEEDED, "updates": NEEDED},
    "bulk_update_sessions": {"session_ids": NEEDED, "operation": NEEDED},
    "get_sessions_by_status": {"status": NEEDED},
    "get_performance_stats": {},
    "get_health_status": {},
    "register_session_callback": {"event_type": NEEDED, "callback": NEEDED},
    "_trigger_callbacks": {"event_type": NEEDED, "session_id": NEEDED, "session": NEEDED},
    "create_with_config": {"config": NEEDED},
    "reconfigure": {"max_sessions": None, "cleanup_interval": None},
    "shutdown": {"timeout": 30},
    "recover_corrupted_session": {"session_id": NEEDED},
}


@pytest.fixture
def manager():
    with SessionManager() as manager:
        yield manager


@pytest.fixture
def session_id(manager):
    return manager.create_session(REQUEST)


def aged(manager, hours, status=GenerationStatus.PENDING):
    """Create a session that is so old and has this status; return its id."""
    session_id = manager.create_session(REQUEST)
    created_at = timezone.now() - timedelta(hours=hours)
    GenerationSession.objects.filter(pk=session_id).update(created_at=created_at, status=status)
    return session_id


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_have_the_names_the_order_and_the_defaults_of_the_seed(name):
    parameters = list(inspect.signature(getattr(SessionManager, name)).parameters.values())
    by_position = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.name != "self" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    wanted = SIGNATURES[name]
    assert list(by_position.items())[: len(wanted)] == list(wanted.items())
    assert NEEDED not in list(by_position.values())[len(wanted) :]


class TestCoreComponents:
    def test_a_session_is_created_and_read(self, manager):
        session_id = manager.create_session(REQUEST)
        assert isinstance(session_id, str)
        session = manager.get_session(session_id)
        assert isinstance(session, GenerationSession)
        assert session.session_id == session_id
        assert session.status == GenerationStatus.PENDING
        assert session.request_data == REQUEST
        assert isinstance(session.created_at, datetime)
        assert isinstance(session.last_accessed, datetime)
        assert (session.progress, session.scenes) == (None, [])
        assert manager.get_session(UNKNOWN) is None

    def test_reading_updates_the_last_access_but_at_most_once_a_minute(self, manager, session_id):
        long_ago = timezone.now() - timedelta(hours=2)
        GenerationSession.objects.update(last_accessed=long_ago)
        first = manager.get_session(session_id).last_accessed
        assert first > long_ago + timedelta(hours=1)
        assert manager.get_session(session_id).last_accessed == first

    def test_a_status_is_updated_with_its_error(self, manager, session_id):
        assert manager.update_session_status(session_id, GenerationStatus.PROCESSING) is True
        assert manager.update_session_status(session_id, GenerationStatus.FAILED, "no ink") is True
        session = manager.get_session(session_id)
        assert (session.status, session.error_message) == (GenerationStatus.FAILED, "no ink")
        assert manager.update_session_status(UNKNOWN, GenerationStatus.FAILED) is False

    def test_a_final_status_stays_where_the_seed_would_have_moved_it(self, manager, session_id):
        assert manager.update_session_status(session_id, status=GenerationStatus.COMPLETED) is True
        assert manager.update_session_status(session_id, GenerationStatus.PROCESSING) is False
        assert manager.get_session(session_id).status == GenerationStatus.COMPLETED

    def test_progress_is_updated(self, manager, session_id):
        assert (
            manager.update_session_progress(
                session_id, current_step=1, total_steps=4, description="Drawing"
            )
            is True
        )
        progress = manager.get_session(session_id).progress
        assert isinstance(progress, ProgressUpdate)
        assert (progress.current_step, progress.total_steps) == (1, 4)
        assert (progress.description, progress.percentage) == ("Drawing", 25)
        assert manager.update_session_progress(UNKNOWN, 1, 4, "Drawing") is False

    def test_scenes_are_added_updated_by_number_and_set(self, manager, session_id):
        one, two = ScenePrompt(scene_number=1), ScenePrompt(scene_number=2)
        again = ScenePrompt(scene_number=1, title="again")
        for scene in (one, two, again):
            assert manager.add_scene_to_session(session_id, scene) is True
        assert manager.get_session(session_id).scenes == [again, two]
        assert manager.set_session_scenes(session_id, [one]) is True
        assert manager.get_session(session_id).scenes == [one]
        assert manager.add_scene_to_session(UNKNOWN, one) is False
        assert manager.set_session_scenes(UNKNOWN, [one]) is False

    def test_a_session_is_removed_and_counted(self, manager, session_id):
        assert manager.get_session_count() == 1
        assert manager.remove_session(session_id) is True
        assert manager.remove_session(session_id) is False
        assert manager.get_session_count() == 0

    def test_all_sessions_are_summed_up(self, manager, session_id):
        assert manager.update_session_progress(session_id, 1, 4, "Drawing")
        sessions_info = manager.get_all_sessions_info()
        session = manager.get_session(session_id)
        assert isinstance(sessions_info, list)
        (info,) = sessions_info
        assert 0 <= info.pop("age_hours") < 1
        assert info == {
            "session_id": session_id,
            "status": "pending",
            "created_at": session.created_at.isoformat(),
            "last_accessed": session.last_accessed.isoformat(),
            "num_scenes": 0,
            "progress": session.progress.model_dump(),
        }
        manager.create_session(REQUEST)
        assert [info["progress"] for info in manager.get_all_sessions_info()][1:] == [None]


class TestThreadSafety:
    def test_an_operation_runs_with_the_session_locked_and_what_it_changes_is_kept(
        self, manager, session_id
    ):
        def operation(session):
            session.status = GenerationStatus.PROCESSING
            session.scenes.append(ScenePrompt(scene_number=1))
            return session.session_id

        assert manager.with_session_lock(session_id, operation) == session_id
        session = manager.get_session(session_id)
        assert (session.status, len(session.scenes)) == (GenerationStatus.PROCESSING, 1)

    def test_an_operation_that_fails_raises_its_error(self, manager, session_id):
        with pytest.raises(ZeroDivisionError):
            manager.with_session_lock(session_id, lambda session: 1 / 0)
        with pytest.raises(ValueError, match=f"Session not found: {UNKNOWN}"):
            manager.with_session_lock(UNKNOWN, lambda session: None)

    def test_locks_are_reentrant(self, manager, session_id):
        def operation(session):
            return manager.with_session_lock(session_id, lambda again: again.session_id)

        assert manager.with_session_lock(session_id, operation) == session_id

    def test_properties_are_updated_atomically(self, manager, session_id, caplog):
        progress = ProgressUpdate(current_step=1, total_steps=2, description="Half")
        updates = {
            "status": GenerationStatus.FAILED,
            "error_message": "no ink",
            "progress": progress,
            "scenes": [ScenePrompt(scene_number=1)],
            "colour": "red",
        }
        assert manager.atomic_session_update(session_id, updates) is True
        session = manager.get_session(session_id)
        assert (session.status, session.error_message) == (GenerationStatus.FAILED, "no ink")
        assert (session.progress, session.scenes) == (progress, [ScenePrompt(scene_number=1)])
        assert "Unknown session attribute: colour" in caplog.text
        assert manager.atomic_session_update(UNKNOWN, updates) is False

    def test_many_sessions_are_updated_and_one_that_fails_spoils_no_other(self, manager):
        first, second, third = (manager.create_session(REQUEST) for _ in range(3))

        def operation(session):
            session.error_message = "seen"
            if session.session_id == second:
                raise RuntimeError

        updated = manager.bulk_update_sessions([first, second, UNKNOWN, third], operation)
        assert updated == 2
        messages = [manager.get_session(each).error_message for each in (first, second, third)]
        assert messages == ["seen", "", "seen"]

    def test_sessions_are_found_by_status(self, manager, session_id):
        manager.create_session(REQUEST)
        manager.update_session_status(session_id, GenerationStatus.PROCESSING)
        (found,) = manager.get_sessions_by_status(GenerationStatus.PROCESSING)
        assert isinstance(found, GenerationSession)
        assert found.session_id == session_id
        found.error_message = "a copy"
        assert manager.get_session(session_id).error_message == ""
        assert manager.get_sessions_by_status(GenerationStatus.FAILED) == []


class TestMonitoring:
    def test_statistics_of_nothing(self, manager):
        assert manager.get_performance_stats() == {
            "total_sessions": 0,
            "max_capacity": 100,
            "utilization_percent": 0,
            "status_breakdown": {},
            "age_distribution": {"under_1h": 0, "1h_to_6h": 0, "6h_to_24h": 0, "over_24h": 0},
            "average_age_hours": 0,
            "oldest_session_hours": 0,
            "newest_session_hours": 0,
        }

    def test_statistics_by_status_and_age(self, manager):
        for hours in (0.5, 2, 5.5, 8, 30):
            aged(manager, hours)
        aged(manager, 2, GenerationStatus.FAILED)
        assert manager.get_performance_stats() == {
            "total_sessions": 6,
            "max_capacity": 100,
            "utilization_percent": 6,
            "status_breakdown": {"pending": 5, "failed": 1},
            "age_distribution": {"under_1h": 1, "1h_to_6h": 3, "6h_to_24h": 1, "over_24h": 1},
            "average_age_hours": 8,
            "oldest_session_hours": 30,
            "newest_session_hours": 0.5,
        }

    def test_health(self, manager):
        aged(manager, 1, GenerationStatus.PROCESSING)
        GenerationSession.objects.update(last_accessed=timezone.now() - timedelta(minutes=31))
        assert manager.get_health_status() == {
            "overall_health": "healthy",
            "session_count": "1",
            "utilization_percent": "1.0%",
            "stuck_sessions": "1",
            "cleanup_active": "yes",
        }

    @pytest.mark.parametrize(
        ("sessions", "health"), [(6, "healthy"), (7, "warning"), (8, "warning"), (9, "critical")]
    )
    def test_health_by_utilization(self, manager, sessions, health):
        manager.reconfigure(max_sessions=10)
        for _ in range(sessions):
            manager.create_session(REQUEST)
        assert manager.get_health_status()["overall_health"] == health
