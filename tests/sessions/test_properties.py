"""Whatever is done to sessions in whatever order, the database is what a plain dict would be."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pydantic import ValidationError

from session_mgmt import (
    GenerationRequest,
    GenerationStatus,
    IdempotencyConflictError,
    InvalidTransitionError,
    ProgressUpdate,
    ScenePrompt,
    SessionNotFoundError,
)
from session_mgmt.models import GenerationSession, Progress, Scene, SessionEvent
from session_mgmt.sessions import SessionManager
from session_mgmt.states import TRANSITIONS

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
AGES = st.sampled_from([0.5, 2, 4, 5.5, 7, 12, 23, 25, 30])  # far from every limit
STATUSES = st.sampled_from(GenerationStatus)
REPORTS = st.sampled_from(["", "no ink", "a\x00b", "é😀"])
REQUESTS = st.sampled_from([GenerationRequest(story_text=text) for text in ("One.", "Two.")])
SCENES = st.builds(
    ScenePrompt,
    scene_number=st.integers(1, 4),
    title=st.sampled_from(["", "a", "é😀"]),
    metadata=st.sampled_from([{}, {"a": [1, None]}]),
)
SCENE_LISTS = st.lists(SCENES, max_size=3, unique_by=lambda scene: scene.scene_number)
STEPS = st.tuples(st.integers(-1, 4), st.integers(-1, 4), st.sampled_from(["", "Half", "a\x00"]))
GOOD_STEPS = st.tuples(st.integers(0, 2), st.sampled_from([0, 2, 4]), st.just("Half"))
UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "status": STATUSES,
        "error_message": REPORTS,
        "progress": st.none() | GOOD_STEPS,
        "scenes": SCENE_LISTS,
        "nonsense": st.just(1),
    },
)
AGE_LIMITS = st.sampled_from([None, 0.1, 1.5, 3, 10, 24])
FINAL = [status for status in GenerationStatus if not TRANSITIONS[status]]


class Fail(Exception):
    """What an operation raises on purpose."""


class Expected:
    """A session as a plain object: what its rows must say."""

    def __init__(self, request, key, created_at):
        self.request, self.key, self.created_at = request, key, created_at
        self.renewed_at = None
        self.status, self.error = GenerationStatus.PENDING, ""
        self.progress, self.scenes = None, {}
        self.events = [("session_created", {})]

    @property
    def age_from(self):
        return self.renewed_at or self.created_at

    def older_than(self, hours):
        return self.age_from < timezone.now() - hours * HOUR

    def can_become(self, status):
        return status == self.status or status in TRANSITIONS[self.status]

    def become(self, status, error=""):
        if status != self.status:
            self.status, self.error = status, error.replace("\x00", "\ufffd") or self.error
            self.events.append(("status_changed", {"status": status.value}))

    def replace_scenes(self, scenes):
        self.scenes = {scene.scene_number: scene for scene in scenes}
        self.events.append(("scenes_replaced", {"scene_numbers": [*self.scenes]}))

    def apply(self, updates):
        """Do what the attributes' assignment in an operation does, or say that it cannot."""
        if not self.can_become(updates.get("status", self.status)):
            return False
        self.error = updates.get("error_message", self.error).replace("\x00", "\ufffd")
        self.become(updates.get("status", self.status))
        self.progress = updates.get("progress", self.progress)
        scenes = updates.get("scenes")
        if scenes is not None and scenes != [self.scenes[n] for n in sorted(self.scenes)]:
            self.replace_scenes(scenes)
        return True

    def has_expired(self, max_age=24):
        limits = {GenerationStatus.COMPLETED: 6, GenerationStatus.FAILED: 1}
        return self.older_than(min(max_age, limits.get(self.status, max_age)))

    def row(self):
        is_final = self.status in FINAL
        return (
            *(self.status, self.request, self.error, self.key, self.created_at),
            *(self.renewed_at, self.age_from, is_final, len(self.events)),
        )


def typed(updates):
    """Return the updates with progress as the library takes it."""
    step = updates.get("progress")
    return {**updates, "progress": progress(step)} if step else updates


def progress(step):
    current, total, description = step
    return ProgressUpdate(current_step=current, total_steps=total, description=description)


def assign(session, updates):
    for name, value in typed(updates).items():
        setattr(session, name, value)


class SessionsAndADict(RuleBasedStateMachine):
    ids = Bundle("ids")

    def __init__(self):
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.expected = {}

    def teardown(self):
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize(limit=st.sampled_from([None, 3, 5]), policy=st.just("evict"))
    def begin(self, limit, policy):
        self.limit = limit
        self.manager = SessionManager(limit, None, policy)

    def forget(self, wanted):
        gone = [key for key, session in self.expected.items() if wanted(session)]
        for key in gone:
            del self.expected[key]
        return len(gone)

    def make_room(self):
        if self.limit is None or len(self.expected) < self.limit:
            return
        if not self.forget(Expected.has_expired):
            finished = [each for each in self.expected.values() if each.status in FINAL]
            candidates = finished or self.expected.values()
            oldest = min(candidates, key=lambda session: session.age_from)
            self.forget(lambda session: session is oldest)

    @rule(target=ids, request=REQUESTS)
    def create(self, request):
        self.make_room()
        session_id = self.manager.create_session(request)
        return self.remember(session_id, request, "")

    @rule(target=ids, request=REQUESTS, key=st.sampled_from(["k", "l"]))
    def start_under_a_key(self, request, key):
        first = [each for each in self.expected.items() if each[1].key == key]
        if not first:
            self.make_room()
        elif first[0][1].request != request:
            with pytest.raises(IdempotencyConflictError):
                self.manager.start(request, idempotency_key=key)
            return first[0][0]
        session_id = self.manager.start(request, idempotency_key=key).session_id
        if first:
            assert session_id == first[0][0]
            return session_id
        return self.remember(session_id, request, key)

    def remember(self, session_id, request, key):
        created_at = GenerationSession.objects.get(pk=session_id).created_at
        assert timezone.now() - timedelta(minutes=1) < created_at <= timezone.now()
        self.expected[session_id] = Expected(request, key, created_at)
        return session_id

    @rule(session_id=ids, status=STATUSES, error=REPORTS)
    def update_status(self, session_id, status, error):
        session = self.expected.get(session_id)
        can = session is not None and session.can_become(status)
        assert self.manager.update_session_status(session_id, status, error) is can
        if can:
            session.become(status, error)

    @rule(session_id=ids, step=STEPS)
    def update_progress(self, session_id, step):
        session = self.expected.get(session_id)
        current, total, description = step
        if min(current, total) < 0 or 0 < total < current or "\x00" in description:
            with pytest.raises(ValidationError):
                self.manager.update_session_progress(session_id, *step)
            return
        assert self.manager.update_session_progress(session_id, *step) is (session is not None)
        if session is not None:
            session.progress = step

    @rule(session_id=ids, scene=SCENES)
    def add_scene(self, session_id, scene):
        session = self.expected.get(session_id)
        assert self.manager.add_scene_to_session(session_id, scene) is (session is not None)
        if session is not None:
            session.scenes[scene.scene_number] = scene
            session.events.append(("scene_added", {"scene_number": scene.scene_number}))

    @rule(session_id=ids, scenes=SCENE_LISTS)
    def set_scenes(self, session_id, scenes):
        session = self.expected.get(session_id)
        assert self.manager.set_session_scenes(session_id, scenes) is (session is not None)
        if session is not None:
            session.replace_scenes(scenes)

    @rule(session_id=ids)
    def renew(self, session_id):
        session = self.expected.get(session_id)
        before = timezone.now()
        assert self.manager.renew_session(session_id) is (session is not None)
        if session is not None:
            session.renewed_at = self.manager.get_session(session_id).renewed_at
            assert before <= session.renewed_at <= timezone.now()

    @rule(session_id=ids, updates=UPDATES, fails=st.booleans())
    def lock(self, session_id, updates, fails):
        updates.pop("nonsense", None)
        session = self.expected.get(session_id)

        def operation(locked):
            assign(locked, updates)
            if fails:
                raise Fail
            return locked.session_id

        if session is None:
            error = SessionNotFoundError
        elif fails:
            error = Fail
        else:
            error = None if session.apply(updates) else InvalidTransitionError
        if error is None:
            assert self.manager.with_session_lock(session_id, operation) == session_id
        else:
            with pytest.raises(error):
                self.manager.with_session_lock(session_id, operation)

    @rule(session_id=ids, updates=UPDATES)
    def update_atomically(self, session_id, updates):
        session = self.expected.get(session_id)
        can = session is not None and session.apply(updates)
        assert self.manager.atomic_session_update(session_id, typed(updates)) is can

    @rule(
        chosen=st.lists(ids, max_size=4),
        failing=st.lists(ids, max_size=2),
        updates=UPDATES.map(lambda updates: {**updates, "nonsense": 1}),
    )
    def update_in_bulk(self, chosen, failing, updates):
        updates = {name: value for name, value in updates.items() if name != "nonsense"}

        def operation(session):
            assign(session, updates)
            if session.session_id in failing:
                raise Fail

        updated = sum(
            self.expected[key].apply(updates)
            for key in set(chosen) - set(failing)
            if key in self.expected
        )
        assert self.manager.bulk_update_sessions([*chosen, "unknown"], operation) == updated

    @rule(session_id=ids)
    def remove(self, session_id):
        found = self.expected.pop(session_id, None) is not None
        assert self.manager.remove_session(session_id) is found

    @rule(session_id=ids)
    def reopen(self, session_id):
        session = self.expected.get(session_id)
        if session is None:
            with pytest.raises(SessionNotFoundError):
                self.manager.reopen(session_id)
        elif session.status not in (GenerationStatus.FAILED, GenerationStatus.CANCELLED):
            with pytest.raises(InvalidTransitionError):
                self.manager.reopen(session_id)
        else:
            self.manager.reopen(session_id)
            session.become(GenerationStatus.PENDING)
            session.error = ""

    @rule(session_id=ids)
    def recover(self, session_id):
        session = self.expected.get(session_id)
        assert self.manager.recover_corrupted_session(session_id) is (session is not None)
        if session is not None:
            session.status = None
            session.become(GenerationStatus.FAILED, "Session recovered from corrupted state")

    @rule(session_id=ids, hours=AGES, renewed=st.booleans())
    def grow_old(self, session_id, hours, renewed):
        if (session := self.expected.get(session_id)) is not None:
            name = "renewed_at" if renewed and session.renewed_at else "created_at"
            moment = timezone.now() - hours * HOUR
            GenerationSession.objects.filter(pk=session_id).update(**{name: moment})
            setattr(session, name, moment)

    @rule(hours=AGE_LIMITS)
    def clean_up(self, hours):
        gone = self.forget(lambda session: session.has_expired(24 if hours is None else hours))
        assert self.manager.cleanup_expired_sessions(hours) == gone

    @rule()
    def clean_up_failed(self):
        gone = self.forget(lambda session: session.status is GenerationStatus.FAILED)
        assert self.manager.cleanup_failed_sessions() == gone

    @rule(hours=AGE_LIMITS.filter(bool))
    def clean_up_completed(self, hours):
        completed = GenerationStatus.COMPLETED
        gone = self.forget(lambda each: each.status is completed and each.older_than(hours))
        assert self.manager.cleanup_completed_sessions(hours) == gone

    @invariant()
    def the_database_is_the_dict(self):
        rows = {
            session.session_id: (
                *(session.status, session.request_data, session.error_message),
                *(session.idempotency_key, session.created_at, session.renewed_at),
                *(session.age_from, session.finished_at is not None, session.last_event),
            )
            for session in GenerationSession.objects.all()
        }
        assert rows == {key: session.row() for key, session in self.expected.items()}
        steps = {str(row.pk): row.as_update() for row in Progress.objects.all()}
        known = self.expected.items()
        assert steps == {key: progress(each.progress) for key, each in known if each.progress}
        scenes = {(str(row.session_id), row.as_prompt()) for row in []}
        assert scenes == set()
        told = SessionEvent.objects.order_by("session", "seq")
        events = {}
        for event in told:
            events.setdefault(str(event.session_id), []).append(event)
        assert {
            key: [(n, e.seq, e.kind, e.data) for n, e in enumerate(found, 1)]
            for key, found in events.items()
        } == {
            key: [(n, n, *event) for n, event in enumerate(each.events, 1)] for key, each in known
        }
