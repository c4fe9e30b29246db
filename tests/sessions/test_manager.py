"""`SessionManager` keeps the promises of seed 001 with its state in the database."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from session_mgmt import (
    GenerationRequest,
    GenerationStatus,
    IdempotencyConflictError,
    InvalidInputError,
    InvalidTransitionError,
    MediaType,
    ScenePrompt,
    SessionNotFoundError,
    signals,
)
from session_mgmt.models import GenerationSession, Job, Progress, Scene, SessionEvent
from session_mgmt.sessions import SessionManager
from session_mgmt.states import TRANSITIONS

pytestmark = pytest.mark.django_db

REQUEST = GenerationRequest(story_text="A story.", media_type=MediaType.COMIC, num_scenes=3)
BAD_IDS = ["", "x", "00000000-0000-0000-0000-00000000000", None, 5, b"x", [], uuid4(), "\x00"]


@pytest.fixture
def manager():
    return SessionManager()


@pytest.fixture
def session_id(manager):
    return manager.create_session(REQUEST)


def events(session_id):
    found = SessionEvent.objects.filter(session=session_id).order_by("seq")
    return [(event.seq, event.kind, event.data) for event in found]


def test_a_new_session_is_pending_and_gives_its_request_back_typed(manager, session_id):
    session = manager.get_session(session_id)
    assert session.session_id == session_id
    assert session.status is GenerationStatus.PENDING
    assert session.request_data == REQUEST
    assert session.progress is None
    assert session.scenes == []
    assert 0 <= session.get_age_hours() < 1


def test_another_manager_sees_what_the_first_has_done(session_id):
    assert SessionManager().get_session(session_id).request_data.num_scenes == 3


@pytest.mark.parametrize("bad_id", BAD_IDS)
def test_an_unknown_or_malformed_id_gives_the_answers_of_the_seed(manager, bad_id):
    other, _ = Job.objects.create_if_not_exists("without a session", "1")
    assert manager.get_session(bad_id) is None
    assert manager.update_session_status(bad_id, GenerationStatus.FAILED) is False
    assert manager.update_session_progress(bad_id, 1, 2, "") is False
    assert manager.add_scene_to_session(bad_id, ScenePrompt(scene_number=1)) is False
    assert manager.set_session_scenes(bad_id, []) is False
    assert manager.remove_session(bad_id) is False
    assert Job.objects.get() == other
    with pytest.raises(SessionNotFoundError):
        manager.transition_to(bad_id, GenerationStatus.FAILED)
    assert not Scene.objects.exists()
    assert not Progress.objects.exists()


def test_reading_is_one_query_and_writes_last_accessed_once_a_minute(
    manager, session_id, django_assert_num_queries
):
    with django_assert_num_queries(1):
        manager.get_session(session_id)
    long_ago = timezone.now() - timedelta(hours=1)
    GenerationSession.objects.update(last_accessed=long_ago)
    with django_assert_num_queries(2):
        assert manager.get_session(session_id).last_accessed > long_ago
    with django_assert_num_queries(1):
        assert manager.get_session(session_id).last_accessed > long_ago


@pytest.mark.parametrize("source", GenerationStatus)
@pytest.mark.parametrize("target", GenerationStatus)
def test_status_moves_only_along_the_transition_table(manager, session_id, source, target):
    GenerationSession.objects.update(status=source)
    allowed = target in TRANSITIONS[source]
    assert manager.update_session_status(session_id, target) is (allowed or source == target)
    session = manager.get_session(session_id)
    assert session.status is (target if allowed else source)
    assert len(events(session_id)) == (2 if allowed else 1)


def test_a_refused_move_raises_with_both_statuses(manager, session_id):
    manager.transition_to(session_id, GenerationStatus.COMPLETED)
    with pytest.raises(InvalidTransitionError) as caught:
        manager.transition_to(session_id, GenerationStatus.PROCESSING)
    assert (caught.value.current, caught.value.requested) == ("completed", "processing")
    with pytest.raises(InvalidInputError, match="status: 'lost' is not one of pending"):
        manager.transition_to(session_id, "lost")
    with pytest.raises(InvalidInputError, match="error_message: must be a text"):
        manager.update_session_status(session_id, GenerationStatus.FAILED, ValueError("x"))


def test_a_failure_keeps_its_message_cleaned_and_its_time(manager, session_id):
    manager.update_session_status(session_id, GenerationStatus.FAILED, "out of ink\x00")
    session = manager.get_session(session_id)
    assert session.error_message == "out of ink\ufffd"
    assert session.finished_at is not None


def test_progress_is_one_update_after_the_first_step(
    manager, session_id, django_assert_num_queries
):
    assert manager.update_session_progress(session_id, 1, 4, "Drawing")
    with django_assert_num_queries(1):
        assert manager.update_session_progress(session_id, 3, 4, "Nearly")
    progress = manager.get_session(session_id).progress
    assert (progress.current_step, progress.total_steps) == (3, 4)
    assert (progress.percentage, progress.description) == (75.0, "Nearly")


def test_impossible_progress_changes_nothing(manager, session_id):
    manager.update_session_progress(session_id, 1, 4, "Drawing")
    with pytest.raises(ValidationError):
        manager.update_session_progress(session_id, 5, 4, "Too far")
    assert manager.get_session(session_id).progress.current_step == 1


def test_a_scene_is_added_once_and_replaced_by_number(manager, session_id):
    assert manager.add_scene_to_session(session_id, ScenePrompt(scene_number=2, prompt="old"))
    assert manager.add_scene_to_session(session_id, ScenePrompt(scene_number=1))
    second = ScenePrompt(scene_number=2, title="T", prompt="new", metadata={"a": [1]})
    assert manager.add_scene_to_session(session_id, second)
    assert manager.get_session(session_id).scenes == [ScenePrompt(scene_number=1), second]


def test_set_scenes_replaces_all_of_them(manager, session_id):
    manager.add_scene_to_session(session_id, ScenePrompt(scene_number=9))
    scenes = [ScenePrompt(scene_number=1, title="a"), ScenePrompt(scene_number=2)]
    assert manager.set_session_scenes(session_id, scenes)
    assert manager.get_session(session_id).scenes == scenes
    assert manager.set_session_scenes(session_id, [])
    assert manager.get_session(session_id).scenes == []


def test_scenes_may_come_from_a_generator(manager, session_id):
    manager.set_session_scenes(session_id, (ScenePrompt(scene_number=n) for n in (1, 2)))
    assert [scene.scene_number for scene in manager.get_session(session_id).scenes] == [1, 2]


@pytest.mark.parametrize(
    "scenes",
    [
        ["x"],
        [None],
        [ScenePrompt(scene_number=1), ScenePrompt(scene_number=1)],
        [ScenePrompt(scene_number=1).model_copy(update={"title": "a\x00"})],
    ],
)
def test_bad_scenes_change_nothing(manager, session_id, scenes):
    manager.add_scene_to_session(session_id, ScenePrompt(scene_number=9))
    with pytest.raises(InvalidInputError, match="scenes: "):
        manager.set_session_scenes(session_id, scenes)
    assert [scene.scene_number for scene in manager.get_session(session_id).scenes] == [9]
    assert len(events(session_id)) == 2


def test_events_are_numbered_without_gaps_also_after_a_rollback(manager, session_id):
    manager.update_session_status(session_id, GenerationStatus.PROCESSING)
    with pytest.raises(RuntimeError), transaction.atomic():
        manager.add_scene_to_session(session_id, ScenePrompt(scene_number=1))
        raise RuntimeError
    manager.add_scene_to_session(session_id, ScenePrompt(scene_number=2))
    assert events(session_id) == [
        (1, "session_created", {}),
        (2, "status_changed", {"status": "processing"}),
        (3, "scene_added", {"scene_number": 2}),
    ]
    assert list(SessionEvent.objects.after(1).values_list("seq", flat=True)) == [2, 3]


def test_removing_a_session_takes_everything_that_belongs_to_it(manager, session_id):
    manager.update_session_progress(session_id, 1, 2, "")
    manager.add_scene_to_session(session_id, ScenePrompt(scene_number=1))
    Job.objects.create_if_not_exists("any", "1", session=manager.get_session(session_id))
    assert manager.remove_session(session_id) is True
    assert manager.get_session(session_id) is None
    for model in (Progress, Scene, SessionEvent, Job):
        assert not model.objects.exists()


def test_the_summary_has_the_keys_of_the_seed_in_one_query(
    manager, session_id, django_assert_num_queries
):
    manager.update_session_progress(session_id, 1, 2, "Half")
    manager.add_scene_to_session(session_id, ScenePrompt(scene_number=1))
    second = manager.create_session(REQUEST)
    with django_assert_num_queries(1):
        first_info, second_info = manager.get_all_sessions_info()
    assert set(first_info) == {
        "session_id",
        "status",
        "created_at",
        "last_accessed",
        "age_hours",
        "num_scenes",
        "progress",
    }
    assert (first_info["session_id"], first_info["status"]) == (session_id, "pending")
    assert (first_info["num_scenes"], first_info["progress"]["percentage"]) == (1, 50.0)
    assert (second_info["session_id"], second_info["progress"]) == (second, None)
    assert manager.get_session_count() == 2


class TestIdempotentStart:
    def test_the_same_key_and_request_give_the_first_session(self, manager):
        first = manager.start(REQUEST, idempotency_key="k")
        assert manager.start(REQUEST, idempotency_key="k").pk == first.pk
        assert manager.get_session_count() == 1

    def test_the_same_key_with_another_request_is_an_error(self, manager):
        first = manager.start(REQUEST, idempotency_key="k")
        with pytest.raises(IdempotencyConflictError) as caught:
            manager.start(GenerationRequest(story_text="Another."), idempotency_key="k")
        assert caught.value.session_id == first.pk

    def test_keys_of_two_owners_do_not_meet(self, manager):
        users = [get_user_model().objects.create(username=name) for name in ("a", "b")]
        started = {
            manager.start(REQUEST, owner=owner, idempotency_key="k").pk for owner in [*users, None]
        }
        assert len(started) == 3

    def test_without_a_key_every_start_is_a_new_session(self, manager):
        assert manager.start(REQUEST).pk != manager.start(REQUEST).pk

    @pytest.mark.parametrize("key", ["\x00", "x" * 201, 5, b"k"])
    def test_a_bad_key_is_refused(self, manager, key):
        with pytest.raises(InvalidInputError, match="idempotency_key: "):
            manager.start(REQUEST, idempotency_key=key)

    def test_an_owner_that_was_never_saved_is_refused(self, manager):
        with pytest.raises(InvalidInputError, match="owner: must be a saved user"):
            manager.start(REQUEST, owner=AnonymousUser())

    def test_something_else_than_a_request_is_refused(self, manager):
        with pytest.raises(InvalidInputError, match="request: must be a GenerationRequest"):
            manager.create_session({"story_text": "x"})


@pytest.mark.django_db(transaction=True)
class TestSignals:
    @pytest.fixture
    def heard(self):
        heard = []
        names = [name for name in signals.__all__ if name not in ("announce", "jobs_pending")]

        def listen(name):
            def receive(session_id, **_):
                heard.append((name, session_id))

            getattr(signals, name).connect(receive, weak=False)
            return receive

        receivers = {name: listen(name) for name in names}
        yield heard
        for name, receiver in receivers.items():
            getattr(signals, name).disconnect(receiver)

    def test_every_change_is_announced_once_it_has_committed(self, manager, heard):
        with transaction.atomic():
            session_id = manager.create_session(REQUEST)
            assert heard == []
        manager.update_session_progress(session_id, 1, 2, "")
        manager.add_scene_to_session(session_id, ScenePrompt(scene_number=1))
        manager.update_session_status(session_id, GenerationStatus.COMPLETED)
        manager.remove_session(session_id)
        assert [name for name, _ in heard] == [
            "session_created",
            "progress_updated",
            "scene_added",
            "status_changed",
            "session_completed",
            "session_removed",
        ]
        assert {session for _, session in heard} == {session_id}

    def test_the_id_is_announced_as_the_session_spells_it(self, manager, heard):
        session_id = manager.create_session(REQUEST)
        manager.update_session_status(f"urn:uuid:{session_id.upper()}", GenerationStatus.CANCELLED)
        assert heard[1:] == [("status_changed", session_id), ("session_cancelled", session_id)]

    def test_nothing_is_announced_when_the_transaction_rolls_back(self, manager, heard):
        with pytest.raises(RuntimeError), transaction.atomic():
            manager.create_session(REQUEST)
            raise RuntimeError
        assert heard == []

    def test_a_receiver_that_raises_is_logged_and_changes_nothing(self, manager, caplog):
        def broken(**_):
            raise RuntimeError("broken receiver")

        signals.session_created.connect(broken)
        try:
            session_id = manager.create_session(REQUEST)
        finally:
            signals.session_created.disconnect(broken)
        assert manager.get_session(session_id) is not None
        assert "broken receiver" in caplog.text
