"""The background clean-up of a manager, its end, and the forms for async code."""

import threading

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections

from session_mgmt import GenerationStatus, ScenePrompt
from session_mgmt.models import CapacityStripe
from session_mgmt.sessions import SessionManager, session_manager
from session_mgmt.sessions.manager import SiteSessionManager
from tests.processes import wait_until
from tests.sessions.ages import REQUEST, left, make

S = GenerationStatus


@pytest.fixture
def manager(transactional_db):
    with SessionManager(None, 0.05) as manager:
        yield manager


class TestBackground:
    def test_it_begins_with_the_first_session_and_cleans_up(self, manager):
        assert not manager.cleanup_active
        stays = manager.create_session(REQUEST)
        assert manager.cleanup_active
        make(S.FAILED, 2)
        wait_until(lambda: len(left()) == 1)
        make(S.FAILED, 2)
        wait_until(lambda: len(left()) == 1)
        assert manager.get_session(stays) is not None

    def test_shutdown_ends_it_and_the_sessions_stay(self, manager):
        manager.create_session(REQUEST)
        assert manager.shutdown() is True
        assert not manager.cleanup_active
        assert manager.shutdown() is True
        assert len(left()) == 1
        manager.create_session(REQUEST)
        assert manager.cleanup_active

    def test_an_error_is_logged_and_the_next_round_comes(self, manager, monkeypatch, caplog):
        rounds = []

        def fail(should_stop):
            rounds.append(1)
            raise ZeroDivisionError

        monkeypatch.setattr(manager._cleanup_timer, "_work", fail)
        manager.create_session(REQUEST)
        wait_until(lambda: len(rounds) >= 2)
        assert "Cleanup worker error" in caplog.text

    def test_it_keeps_no_connection_between_rounds(self, manager, monkeypatch):
        seen = []
        close_all = connections.close_all

        def close():
            close_all()
            seen.append((threading.current_thread().name, connection.connection))

        monkeypatch.setattr(connections, "close_all", close)
        manager.create_session(REQUEST)
        wait_until(lambda: seen)
        assert seen[0] == ("SessionCleanup", None)

    def test_a_new_interval_counts_from_the_next_wait_on(self, manager):
        manager.reconfigure(cleanup_interval=3600)
        assert manager.cleanup_interval == 3600
        assert manager.max_sessions is None

    def test_it_ends_when_the_site_wants_none_any_more(self, transactional_db, settings):
        settings.SESSION_MGMT = {"CLEANUP_INTERVAL": 0.05}
        site = SiteSessionManager()
        site.create_session(REQUEST)
        assert site.cleanup_active
        settings.SESSION_MGMT = {}
        wait_until(lambda: not site.cleanup_active)

    def test_no_manager_of_a_site_has_one_unless_it_is_asked_to(self, transactional_db, settings):
        site = SiteSessionManager()
        site.create_session(REQUEST)
        assert not site.cleanup_active
        settings.SESSION_MGMT = {"CLEANUP_INTERVAL": 0.05}
        site.create_session(REQUEST)
        assert site.cleanup_active
        assert site.shutdown()


@pytest.mark.django_db(transaction=True)
def test_async_code_can_do_what_a_view_needs():
    async def view():
        started = await session_manager.astart(REQUEST, idempotency_key="k")
        one = started.session_id
        assert (await session_manager.astart(REQUEST, idempotency_key="k")).session_id == one
        assert await session_manager.aupdate_session_status(one, S.PROCESSING)
        assert await session_manager.aupdate_session_progress(one, 1, 2, "half")
        assert await session_manager.aadd_scene_to_session(one, ScenePrompt(scene_number=1))
        assert await session_manager.arenew_session(one)
        session = await session_manager.aget_session(one)
        assert (session.status, session.progress.percentage) == (S.PROCESSING, 50.0)
        scenes = await sync_to_async(lambda: session.scenes)()
        other = await session_manager.acreate_session(REQUEST)
        assert await session_manager.aremove_session(other)
        assert await session_manager.aget_session(other) is None
        return [scene.scene_number for scene in scenes]

    assert async_to_sync(view)() == [1]


@pytest.mark.django_db
def test_a_manager_without_a_limit_keeps_no_account():
    SessionManager(None, None).create_session(REQUEST)
    assert not CapacityStripe.objects.exists()
