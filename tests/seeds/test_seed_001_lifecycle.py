"""The life of a manager as seed 001 has it: capacity, clean-up, callbacks, configuration, end."""

import logging
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

import session_mgmt
from session_mgmt import GenerationRequest, GenerationStatus, InvalidInputError, MediaType
from session_mgmt.models import GenerationSession
from session_mgmt.sessions import SessionManager, session_manager
from tests.seeds.test_seed_001 import REQUEST, UNKNOWN, aged

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    with SessionManager() as manager:
        yield manager


@pytest.fixture
def session_id(manager):
    return manager.create_session(REQUEST)


def ids():
    return {str(pk) for pk in GenerationSession.objects.values_list("pk", flat=True)}


class TestCapacity:
    def test_at_capacity_expired_sessions_are_removed_first(self):
        manager = SessionManager(max_sessions=3, cleanup_interval=60)
        kept = aged(manager, 20)
        failed = aged(manager, 2, GenerationStatus.FAILED)
        young = aged(manager, 1)
        new = manager.create_session(REQUEST)
        assert failed not in ids()
        assert ids() == {kept, young, new}
        manager.shutdown()

    def test_then_the_oldest_one(self):
        manager = SessionManager(max_sessions=2, cleanup_interval=60)
        aged(manager, 5)
        younger, new = aged(manager, 4), manager.create_session(REQUEST)
        assert ids() == {younger, new}
        manager.shutdown()

    def test_but_a_finished_one_before_an_older_one_that_the_seed_would_have_removed(self):
        manager = SessionManager(max_sessions=2, cleanup_interval=60)
        older, _ = aged(manager, 5), aged(manager, 4, GenerationStatus.COMPLETED)
        new = manager.create_session(REQUEST)
        assert ids() == {older, new}
        manager.shutdown()


class TestCleanup:
    def test_sessions_expire_by_age_and_status(self, manager):
        kept = {
            aged(manager, 23.5),
            aged(manager, 5.5, GenerationStatus.COMPLETED),
            aged(manager, 0.5, GenerationStatus.FAILED),
            aged(manager, 23.5, GenerationStatus.PROCESSING),
        }
        aged(manager, 24.5)
        aged(manager, 6.5, GenerationStatus.COMPLETED)
        aged(manager, 1.5, GenerationStatus.FAILED)
        assert manager._cleanup_expired_sessions() == 3
        assert ids() == kept
        assert manager._cleanup_expired_sessions(max_age_hours=10) == 2
        assert manager._cleanup_expired_sessions(max_age_hours=10) == 0

    def test_the_oldest_session_is_removed(self, manager):
        aged(manager, 3)
        younger = aged(manager, 2)
        assert manager._remove_oldest_session() is True
        assert ids() == {younger}
        assert manager._remove_oldest_session() is True
        assert manager._remove_oldest_session() is False

    def test_memory_usage_is_logged(self, manager, caplog):
        aged(manager, 3)
        with caplog.at_level(logging.INFO, "session_mgmt"):
            assert manager._log_memory_usage() is None
        assert "Sessions: 1/100 (avg age: 3.0h) Status: {'pending': 1}" in caplog.text

    def test_all_failed_sessions_are_removed(self, manager, session_id):
        aged(manager, 0, GenerationStatus.FAILED)
        assert manager.cleanup_failed_sessions() == 1
        assert manager.cleanup_failed_sessions() == 0
        assert ids() == {session_id}

    def test_old_completed_sessions_are_removed(self, manager):
        younger = aged(manager, 5, GenerationStatus.COMPLETED)
        aged(manager, 7, GenerationStatus.COMPLETED)
        assert manager.cleanup_completed_sessions() == 1
        assert ids() == {younger}
        assert manager.cleanup_completed_sessions(max_age_hours=4) == 1

    def test_all_sessions_are_removed(self, manager, session_id):
        manager.create_session(REQUEST)
        assert manager.force_cleanup_all() == 2
        assert manager.force_cleanup_all() == 0
        assert ids() == set()

    @pytest.mark.django_db(transaction=True)
    def test_the_cleanup_timer_removes_what_expires(self):
        removed = threading.Event()

        def callback(session_id, session):
            removed.set()

        with SessionManager(cleanup_interval=0.05) as manager:
            manager.register_session_callback("session_removed", callback)
            session_id = aged(manager, 25)
            assert manager.get_health_status()["cleanup_active"] == "yes"
            assert removed.wait(20)
            manager.unregister_session_callback("session_removed", callback)
            assert manager.get_session(session_id) is None
        assert manager.get_health_status()["cleanup_active"] == "no"


@pytest.mark.django_db(transaction=True)
class TestCallbacks:
    @pytest.fixture
    def heard(self, manager):
        heard = []

        def callback(session_id, session):
            heard.append((session_id, session.status))

        manager.register_session_callback("session_failed", callback)
        yield heard
        manager.unregister_session_callback("session_failed", callback)

    def test_a_callback_is_called_with_the_id_and_the_session(self, manager, heard):
        session_id = manager.create_session(REQUEST)
        manager.update_session_status(session_id, GenerationStatus.FAILED, "no ink")
        assert heard == [(session_id, GenerationStatus.FAILED)]

    def test_a_callback_is_triggered_by_hand(self, manager, heard):
        session = manager.get_session(manager.create_session(REQUEST))
        assert manager._trigger_callbacks("session_failed", session.session_id, session) is None
        assert heard == [(session.session_id, GenerationStatus.PENDING)]

    def test_a_callback_that_fails_is_logged_and_the_others_are_called(
        self, manager, heard, caplog
    ):
        def callback(session_id, session):
            raise RuntimeError("broken callback")

        manager.register_session_callback(event_type="session_created", callback=callback)
        session_id = manager.create_session(REQUEST)
        manager.unregister_session_callback("session_created", callback)
        assert manager.get_session(session_id) is not None
        assert "broken callback" in caplog.text

    def test_event_types_are_a_fixed_list_where_the_seed_took_any(self, manager):
        with pytest.raises(InvalidInputError, match="event_type"):
            manager.register_session_callback("my_own_event", print)


class TestConfiguration:
    def test_a_manager_is_created_with_a_config(self):
        manager = SessionManager.create_with_config({"max_sessions": 7, "cleanup_interval": 60})
        assert isinstance(manager, SessionManager)
        assert (manager.max_sessions, manager.cleanup_interval) == (7, 60)

    def test_an_empty_config_gives_the_defaults(self):
        manager = SessionManager.create_with_config({})
        assert (manager.max_sessions, manager.cleanup_interval) == (100, 3600)

    def test_a_manager_is_reconfigured(self, manager):
        assert manager.reconfigure(max_sessions=50) is None
        assert (manager.max_sessions, manager.cleanup_interval) == (50, 3600)
        assert manager.reconfigure(cleanup_interval=60) is None
        assert (manager.max_sessions, manager.cleanup_interval) == (50, 60)

    def test_a_smaller_limit_triggers_a_cleanup_and_a_larger_one_does_not(self, manager):
        aged(manager, 25)
        manager.reconfigure(200)
        assert manager.get_session_count() == 1
        manager.reconfigure(50, 60)
        assert manager.get_session_count() == 0

    def test_the_global_instance_takes_its_values_from_the_settings_and_has_no_limit_without(
        self, settings
    ):
        assert isinstance(session_manager, SessionManager)
        assert session_manager.max_sessions is None
        assert session_manager.cleanup_interval is None
        settings.SESSION_MGMT = {"MAX_SESSIONS": 20, "CLEANUP_INTERVAL": timedelta(hours=2)}
        assert (session_manager.max_sessions, session_manager.cleanup_interval) == (20, 7200)


class TestShutdown:
    def test_a_shutdown_keeps_the_sessions_that_the_seed_would_have_cleared(self, session_id):
        manager = SessionManager()
        assert manager.shutdown() is True
        assert manager.shutdown(timeout=1) is True
        assert manager.get_session(session_id) is not None

    def test_a_manager_is_a_context_manager_that_stops_its_cleanup(self):
        with SessionManager(max_sessions=5, cleanup_interval=60) as manager:
            session_id = manager.create_session(REQUEST)
            assert manager._cleanup_timer.is_alive()
        assert not manager._cleanup_timer.is_alive()
        assert manager.get_session(session_id) is not None

    def test_a_context_manager_lets_errors_out(self):
        with pytest.raises(ZeroDivisionError), SessionManager():
            raise ZeroDivisionError


class TestErrors:
    @pytest.mark.parametrize(
        "name", ["SessionNotFoundError", "SessionCapacityError", "SessionLockError"]
    )
    def test_exceptions_have_one_base_and_stand_beside_the_others(self, name):
        assert issubclass(getattr(session_mgmt, name), session_mgmt.SessionManagerError)
        assert name in session_mgmt.__all__
        assert issubclass(session_mgmt.SessionManagerError, Exception)

    @pytest.mark.parametrize("status", GenerationStatus)
    def test_a_corrupted_session_is_recovered_from_any_status(self, manager, session_id, status):
        GenerationSession.objects.update(status=status)
        assert manager.recover_corrupted_session(session_id) is True
        session = manager.get_session(session_id)
        assert session.status == GenerationStatus.FAILED
        assert session.error_message == "Session recovered from corrupted state"

    def test_what_is_not_there_is_not_recovered(self, manager):
        assert manager.recover_corrupted_session(UNKNOWN) is False


class TestUtilities:
    def test_a_manager_for_tests_is_small_and_has_no_thread_as_it_had_in_the_seed(self):
        from session_mgmt.testing import create_test_session_manager

        manager = create_test_session_manager()
        assert isinstance(manager, SessionManager)
        assert (manager.max_sessions, manager.cleanup_interval) == (5, None)
        assert create_test_session_manager(max_sessions=9).max_sessions == 9

    def test_a_mock_session_is_pending_and_has_the_request_of_the_seed(self):
        from session_mgmt.testing import create_mock_session

        session = create_mock_session()
        assert isinstance(session, GenerationSession)
        assert session.status == GenerationStatus.PENDING
        assert session.request_data == GenerationRequest(
            story_text="Test story for session", media_type=MediaType.CINEMATIC, num_scenes=3
        )
        assert session.scenes == []
        assert session.progress is None
        assert abs(session.get_age_hours()) < 1
        assert session.last_accessed <= timezone.now()

    def test_a_mock_session_takes_an_id_and_a_status(self):
        from session_mgmt.testing import create_mock_session

        session = create_mock_session(UNKNOWN, GenerationStatus.COMPLETED)
        assert (session.session_id, session.status) == (UNKNOWN, GenerationStatus.COMPLETED)
        assert create_mock_session(status=GenerationStatus.FAILED).session_id != UNKNOWN

    def test_waiting_for_cleanup_gives_up_while_it_goes_on(self, manager, session_id):
        from session_mgmt.testing import wait_for_cleanup

        assert wait_for_cleanup(manager, 0) is False

    def test_waiting_for_cleanup_ends_at_once_when_it_has_ended(self, manager, session_id):
        from session_mgmt.testing import wait_for_cleanup

        manager.shutdown()
        started = time.monotonic()
        assert wait_for_cleanup(manager) is True
        assert wait_for_cleanup(session_manager=manager, max_wait=10) is True
        assert time.monotonic() - started < 5
