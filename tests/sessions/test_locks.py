"""Under its lock a session is changed as a whole, by assignments that are saved (seed 001)."""

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from session_mgmt import (
    GenerationRequest,
    GenerationStatus,
    InvalidInputError,
    InvalidTransitionError,
    ProgressUpdate,
    ScenePrompt,
    SessionNotFoundError,
)
from session_mgmt.models import GenerationSession, SessionEvent
from session_mgmt.sessions import SessionManager
from tests.sessions.ages import REQUEST

pytestmark = pytest.mark.django_db

S = GenerationStatus
HALF = ProgressUpdate(current_step=1, total_steps=2, description="half")


@pytest.fixture
def manager():
    return SessionManager(None, None)


@pytest.fixture
def session_id(manager):
    return manager.create_session(REQUEST)


def set_all(session):
    session.status = S.PROCESSING
    session.error_message = "almost"
    session.progress = HALF
    session.scenes.append(ScenePrompt(scene_number=1, title="One"))
    return "done"


def test_what_the_operation_sets_is_saved_without_a_save(manager, session_id):
    assert manager.with_session_lock(session_id, set_all) == "done"
    session = manager.get_session(session_id)
    assert session.status is S.PROCESSING
    assert session.error_message == "almost"
    assert session.progress == HALF
    assert [scene.title for scene in session.scenes] == ["One"]
    kinds = SessionEvent.objects.order_by("seq").values_list("seq", "kind")
    assert list(kinds) == [(1, "session_created"), (2, "status_changed"), (3, "scenes_replaced")]


def test_an_operation_that_raises_changes_nothing(manager, session_id):
    def fail(session):
        set_all(session)
        manager.add_scene_to_session(session_id, ScenePrompt(scene_number=5))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        manager.with_session_lock(session_id, fail)
    session = manager.get_session(session_id)
    assert (session.status, session.error_message) == (S.PENDING, "")
    assert (session.progress, session.scenes) == (None, [])


def test_a_session_that_is_only_read_costs_its_lock_and_its_access(
    manager, session_id, django_assert_num_queries
):
    with django_assert_num_queries(4):  # a savepoint in this test's transaction, lock, access
        manager.with_session_lock(session_id, lambda session: session.status)


def test_the_operation_may_use_the_manager(manager, session_id):
    def outer(session):
        manager.update_session_status(session_id, S.PROCESSING)
        return manager.with_session_lock(session_id, lambda inner: inner.status)

    assert manager.with_session_lock(session_id, outer) is S.PROCESSING
    assert manager.get_session(session_id).status is S.PROCESSING


@pytest.mark.parametrize("bad_id", ["x", None, "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_session_is_an_error_and_a_value_error_as_in_the_seed(manager, bad_id):
    with pytest.raises(SessionNotFoundError):
        manager.with_session_lock(bad_id, set_all)
    with pytest.raises(ValueError, match="Session not found"):
        manager.with_session_lock(bad_id, set_all)


WRONG = [
    ("status", "running"),
    ("status", 5),
    ("error_message", 5),
    ("error_message", None),
    ("request_data", {"story_text": "x"}),
    ("owner", 5),
    ("owner", get_user_model()()),
    ("is_active", "yes"),
    ("created_at", "2026-01-01"),
    ("created_at", timezone.now().replace(tzinfo=None)),
    ("progress", {"current_step": 1}),
    ("scenes", "abc"),
    ("scenes", [{"scene_number": 1}]),
    ("session_id", "x"),
    ("id", None),
    ("last_event", 7),
    ("idempotency_key", "k"),
    ("finished_at", timezone.now()),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_and_nothing_is_changed(manager, session_id, name, value):
    before = GenerationSession.objects.values().get()
    with pytest.raises(InvalidInputError) as refusal:
        manager.atomic_session_update(session_id, {"error_message": "x", name: value})
    assert refusal.value.field == name
    assert GenerationSession.objects.values().get() == before


def test_several_attributes_are_set_at_once(manager, session_id):
    user = get_user_model().objects.create_user("anna")
    request = GenerationRequest(story_text="Another.")
    updates = {"status": "processing", "owner": user, "request_data": request, "progress": HALF}
    assert manager.atomic_session_update(session_id, updates) is True
    session = manager.get_session(session_id)
    assert (session.status, session.owner, session.request_data) == (S.PROCESSING, user, request)
    assert session.progress == HALF
    assert manager.atomic_session_update(session_id, {"progress": None, "owner": None}) is True
    session = manager.get_session(session_id)
    assert (session.progress, session.owner) == (None, None)


def test_an_unknown_attribute_is_logged_and_skipped_as_in_the_seed(manager, session_id, caplog):
    updates = {"colour": "red", "save": None, "error_message": "kept"}
    assert manager.atomic_session_update(session_id, updates) is True
    assert "Unknown session attribute: colour" in caplog.text
    assert "Unknown session attribute: save" in caplog.text
    assert manager.get_session(session_id).error_message == "kept"


def test_an_update_to_a_status_out_of_reach_is_false_and_changes_nothing(manager, session_id):
    manager.update_session_status(session_id, S.COMPLETED)
    updates = {"error_message": "x", "status": S.PROCESSING}
    assert manager.atomic_session_update(session_id, updates) is False
    assert manager.get_session(session_id).error_message == ""
    assert manager.atomic_session_update("x", updates) is False


class TestBulk:
    def test_one_bad_session_does_not_spoil_the_others(self, manager, caplog):
        ids = [manager.create_session(REQUEST) for _ in range(4)]

        def apply(session):
            session.error_message = "seen"
            if session.session_id == ids[1]:
                raise ZeroDivisionError
            if session.session_id == ids[2]:
                session.status = "nonsense"

        unknown = ["x", None, "00000000-0000-4000-8000-000000000000"]
        assert manager.bulk_update_sessions([*ids, ids[0], *unknown], apply) == 2
        seen = [manager.get_session(one).error_message for one in ids]
        assert seen == ["seen", "", "", "seen"]
        assert f"Bulk update failed for session {ids[1]}" in caplog.text

    def test_a_swallowed_database_error_stays_with_its_session(self, manager):
        ids = sorted(manager.create_session(REQUEST) for _ in range(3))

        def apply(session):
            session.error_message = "seen"
            if session.session_id == ids[1]:
                GenerationSession.objects.create(pk=session.pk, request_data=REQUEST)

        assert manager.bulk_update_sessions(ids, apply) == 2

    def test_no_sessions_is_fine(self, manager):
        assert manager.bulk_update_sessions([], set_all) == 0


def test_sessions_by_status_come_with_progress_and_scenes_in_two_queries(
    manager, django_assert_num_queries
):
    for _ in range(3):
        one = manager.create_session(REQUEST)
        manager.add_scene_to_session(one, ScenePrompt(scene_number=1))
    manager.update_session_status(one, S.COMPLETED)
    with django_assert_num_queries(2):
        found = manager.get_sessions_by_status(S.PENDING)
        assert [(len(session.scenes), session.progress) for session in found] == [(1, None)] * 2
    assert manager.get_sessions_by_status("completed")[0].session_id == one


def test_recovering_sets_failed_from_any_status(manager, session_id):
    manager.update_session_status(session_id, S.COMPLETED)
    assert manager.recover_corrupted_session(session_id) is True
    session = manager.get_session(session_id)
    assert (session.status, session.finished_at is None) == (S.FAILED, False)
    assert session.error_message == "Session recovered from corrupted state"
    assert manager.recover_corrupted_session("x") is False


def test_reopening_is_the_way_back_from_a_failure(manager, session_id):
    manager.update_session_status(session_id, S.FAILED, "broken")
    manager.reopen(session_id)
    session = manager.get_session(session_id)
    assert (session.status, session.error_message, session.finished_at) == (S.PENDING, "", None)
    with pytest.raises(InvalidTransitionError):
        manager.reopen(session_id)
    with pytest.raises(SessionNotFoundError):
        manager.reopen("x")


def test_outside_of_a_lock_an_assignment_says_where_it_belongs(manager, session_id):
    session = manager.get_session(session_id)
    with pytest.raises(AttributeError, match="with_session_lock"):
        session.scenes = []


def test_in_a_transaction_of_the_caller_a_failed_operation_leaves_the_rest(manager, session_id):
    def fail(session):
        session.error_message = "x"
        session.status = S.COMPLETED
        session.owner = get_user_model()()

    with transaction.atomic():
        other = manager.create_session(REQUEST)
        with pytest.raises(InvalidInputError):
            manager.with_session_lock(session_id, fail)
    assert manager.get_session(other).status is S.PENDING
    session = manager.get_session(session_id)
    assert (session.status, session.error_message) == (S.PENDING, "")


def test_reading_the_scenes_takes_nothing_back_that_was_added_meanwhile(manager, session_id):
    def add(session):
        number = len(session.scenes) + 1
        manager.add_scene_to_session(session_id, ScenePrompt(scene_number=number))

    manager.with_session_lock(session_id, add)
    manager.with_session_lock(session_id, add)
    assert [scene.scene_number for scene in manager.get_session(session_id).scenes] == [1, 2]


def test_a_save_or_a_refresh_inside_is_no_change_of_its_own(manager, session_id):
    def save(session):
        session.error_message = "saved"
        session.save()

    def refresh(session):
        manager.update_session_status(session_id, S.PROCESSING)
        session.refresh_from_db()
        session.error_message = "refreshed"

    manager.with_session_lock(session_id, save)
    assert manager.get_session(session_id).error_message == "saved"
    manager.with_session_lock(session_id, refresh)
    session = manager.get_session(session_id)
    assert (session.status, session.error_message) == (S.PROCESSING, "refreshed")


def test_a_session_that_the_operation_has_removed_is_an_error(manager, session_id):
    with pytest.raises(SessionNotFoundError):
        manager.with_session_lock(session_id, lambda _: manager.remove_session(session_id))
    assert manager.get_session(session_id) is not None


def test_an_old_copy_that_is_saved_does_not_reuse_event_numbers(manager, session_id):
    stale = manager.get_session(session_id)
    manager.add_scene_to_session(session_id, ScenePrompt(scene_number=1))
    stale.error_message = "late"
    stale.save()
    assert manager.update_session_status(session_id, S.COMPLETED) is True
    assert manager.get_session(session_id).error_message == "late"
    assert list(SessionEvent.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3]


def test_an_operation_outside_of_a_lock_that_raised_has_no_draft_left(manager, session_id):
    kept = []

    def fail(session):
        kept.append(session)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        manager.with_session_lock(session_id, fail)
    with pytest.raises(AttributeError, match="with_session_lock"):
        kept[0].progress = HALF
