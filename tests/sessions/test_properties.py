"""Whatever is done to sessions in whatever order, the database is what a plain dict would be."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import ValidationError

from session_mgmt import (
    GenerationStatus,
    IdempotencyConflictError,
    InvalidTransitionError,
    SessionNotFoundError,
)
from session_mgmt.exceptions import SessionCapacityError
from session_mgmt.models import GenerationSession, Progress, Scene, SessionEvent
from session_mgmt.sessions import SessionManager
from tests.sessions.expected import (
    AGE_LIMITS,
    AGES,
    FINAL,
    HOUR,
    REPORTS,
    REQUESTS,
    SCENE_LISTS,
    SCENES,
    STATUSES,
    STEPS,
    UPDATES,
    WHICH,
    Expected,
    OnPurposeError,
    assign,
    progress,
    typed,
)

pytestmark = pytest.mark.django_db


class SessionsAndADict(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.expected = {}
        self.gone = "00000000-0000-0000-0000-000000000000"

    def teardown(self):
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize(
        limit=st.sampled_from([None, 2, 3, 4]),
        policy=st.sampled_from(["evict", "evict", "reject"]),
        some=st.lists(st.tuples(REQUESTS, STATUSES, AGES), min_size=2, max_size=4),
    )
    def begin(self, limit, policy, some):
        self.limit, self.policy = limit, policy
        self.manager = SessionManager(limit, None, policy)
        for request, status, hours in some:
            self.create(request, status, hours)

    def pick(self, which):
        """Return the id of a session, or of none that is there."""
        there = list(self.expected)
        return there[which % len(there)] if there and which else self.gone

    def forget(self, wanted):
        gone = [key for key, session in self.expected.items() if wanted(session)]
        for key in gone:
            del self.expected[key]
            self.gone = key
        return len(gone)

    def room_for(self, create):
        """Tell whether there is room, having made some, or been refused by `create`."""
        if self.limit is None or len(self.expected) < self.limit:
            return True
        if self.policy == "reject":
            with pytest.raises(SessionCapacityError):
                create()
            return False
        if not self.forget(Expected.has_expired):
            finished = [each for each in self.expected.values() if each.status in FINAL]
            candidates = finished or self.expected.values()
            oldest = min(candidates, key=lambda session: session.age_from)
            self.forget(lambda session: session is oldest)
        return True

    @rule(request=REQUESTS, status=STATUSES, hours=st.just(0) | AGES)
    def create(self, request, status, hours):
        if self.room_for(lambda: self.manager.create_session(request)):
            session_id = self.manager.create_session(request)
            self.remember(session_id, request, "")
            self.manager.transition_to(session_id, status)
            self.expected[session_id].become(status)
            self.backdate(session_id, "created_at", hours)

    @rule(request=REQUESTS, key=st.sampled_from(["k", "l"]))
    def start_under_a_key(self, request, key):
        first = [each for each in self.expected.items() if each[1].key == key]
        if not first and not self.room_for(
            lambda: self.manager.start(request, idempotency_key=key)
        ):
            return
        if first and first[0][1].request != request:
            with pytest.raises(IdempotencyConflictError):
                self.manager.start(request, idempotency_key=key)
            return
        session_id = self.manager.start(request, idempotency_key=key).session_id
        if first:
            assert session_id == first[0][0]
        else:
            self.remember(session_id, request, key)

    def remember(self, session_id, request, key):
        created_at = GenerationSession.objects.get(pk=session_id).created_at
        assert timezone.now() - timedelta(minutes=1) < created_at <= timezone.now()
        self.expected[session_id] = Expected(request, key, created_at)

    @precondition(lambda self: self.expected)
    @rule(which=WHICH, status=STATUSES, error=REPORTS)
    def update_status(self, which, status, error):
        session_id = self.pick(which)
        session = self.expected.get(session_id)
        can = session is not None and session.can_become(status)
        assert self.manager.update_session_status(session_id, status, error) is can
        if can:
            session.become(status, error)

    @precondition(lambda self: self.expected)
    @rule(which=WHICH, step=STEPS)
    def update_progress(self, which, step):
        session_id = self.pick(which)
        session = self.expected.get(session_id)
        current, total, description = step
        if min(current, total) < 0 or 0 < total < current or "\x00" in description:
            with pytest.raises(ValidationError):
                self.manager.update_session_progress(session_id, *step)
            return
        assert self.manager.update_session_progress(session_id, *step) is (session is not None)
        if session is not None:
            session.progress = step

    @precondition(lambda self: self.expected)
    @rule(which=WHICH, scene=SCENES)
    def add_scene(self, which, scene):
        session_id = self.pick(which)
        session = self.expected.get(session_id)
        assert self.manager.add_scene_to_session(session_id, scene) is (session is not None)
        if session is not None:
            session.scenes[scene.scene_number] = scene
            session.events.append(("scene_added", {"scene_number": scene.scene_number}))

    @precondition(lambda self: self.expected)
    @rule(which=WHICH, scenes=SCENE_LISTS)
    def set_scenes(self, which, scenes):
        session_id = self.pick(which)
        session = self.expected.get(session_id)
        assert self.manager.set_session_scenes(session_id, scenes) is (session is not None)
        if session is not None:
            session.replace_scenes(scenes)

    @precondition(lambda self: self.expected)
    @rule(which=WHICH)
    def renew(self, which):
        session_id = self.pick(which)
        session = self.expected.get(session_id)
        before = timezone.now()
        assert self.manager.renew_session(session_id) is (session is not None)
        if session is not None:
            session.renewed_at = self.manager.get_session(session_id).renewed_at
            assert before <= session.renewed_at <= timezone.now()

    @precondition(lambda self: self.expected)
    @rule(which=WHICH, updates=UPDATES, fails=st.booleans())
    def lock(self, which, updates, fails):
        session_id = self.pick(which)
        session = self.expected.get(session_id)

        def operation(locked):
            assign(locked, updates)
            if fails:
                raise OnPurposeError
            return locked.session_id

        if session is None:
            error = SessionNotFoundError
        elif fails:
            error = OnPurposeError
        else:
            error = None if session.apply(updates) else InvalidTransitionError
        if error is None:
            assert self.manager.with_session_lock(session_id, operation) == session_id
        else:
            with pytest.raises(error):
                self.manager.with_session_lock(session_id, operation)

    @precondition(lambda self: self.expected)
    @rule(which=WHICH, updates=UPDATES)
    def update_atomically(self, which, updates):
        session_id = self.pick(which)
        session = self.expected.get(session_id)
        can = session is not None and session.apply(updates)
        assert self.manager.atomic_session_update(session_id, {**typed(updates), "x": 1}) is can

    @rule(
        chosen=st.lists(WHICH, max_size=4),
        failing=st.lists(WHICH, max_size=2),
        updates=UPDATES,
    )
    def update_in_bulk(self, chosen, failing, updates):
        chosen = [self.pick(which) for which in chosen]
        failing = {self.pick(which) for which in failing}

        def operation(session):
            assign(session, updates)
            if session.session_id in failing:
                raise OnPurposeError

        updated = sum(
            self.expected[key].apply(updates)
            for key in set(chosen) - failing
            if key in self.expected
        )
        assert self.manager.bulk_update_sessions([*chosen, "unknown"], operation) == updated

    @precondition(lambda self: self.expected)
    @rule(which=WHICH)
    def remove(self, which):
        session_id = self.pick(which)
        found = self.expected.pop(session_id, None) is not None
        self.gone = session_id
        assert self.manager.remove_session(session_id) is found

    @precondition(lambda self: self.expected)
    @rule(which=WHICH)
    def reopen(self, which):
        session_id = self.pick(which)
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

    @precondition(lambda self: self.expected)
    @rule(which=WHICH)
    def recover(self, which):
        session_id = self.pick(which)
        session = self.expected.get(session_id)
        assert self.manager.recover_corrupted_session(session_id) is (session is not None)
        if session is not None:
            session.status = None
            session.become(GenerationStatus.FAILED, "Session recovered from corrupted state")

    @precondition(lambda self: self.expected)
    @rule(which=WHICH, hours=AGES, renewed=st.booleans())
    def grow_old(self, which, hours, renewed):
        session_id = self.pick(which)
        if (session := self.expected.get(session_id)) is not None:
            name = "renewed_at" if renewed and session.renewed_at else "created_at"
            self.backdate(session_id, name, hours)

    def backdate(self, session_id, name, hours):
        moment = timezone.now() - hours * HOUR
        GenerationSession.objects.filter(pk=session_id).update(**{name: moment})
        setattr(self.expected[session_id], name, moment)

    @precondition(lambda self: len(self.expected) > 1)
    @rule(hours=AGE_LIMITS)
    def clean_up(self, hours):
        gone = self.forget(lambda session: session.has_expired(24 if hours is None else hours))
        assert self.manager.cleanup_expired_sessions(hours) == gone

    @precondition(lambda self: len(self.expected) > 1)
    @rule(status=st.sampled_from(["failed", "completed"]), hours=AGE_LIMITS.filter(bool))
    def clean_up_by_status(self, status, hours):
        if status == "failed":
            gone = self.forget(lambda each: each.status == status)
            assert self.manager.cleanup_failed_sessions() == gone
        else:
            gone = self.forget(lambda each: each.status == status and each.older_than(hours))
            assert self.manager.cleanup_completed_sessions(hours) == gone

    @invariant()
    def the_database_is_the_dict(self):
        known = self.expected.items()
        rows = {
            session.session_id: (
                *(session.status, session.request_data, session.error_message),
                *(session.idempotency_key, session.created_at, session.renewed_at),
                *(session.age_from, session.finished_at is not None, session.last_event),
            )
            for session in GenerationSession.objects.all()
        }
        assert rows == {key: session.row() for key, session in known}
        steps = {str(row.pk): row.as_update() for row in Progress.objects.all()}
        assert steps == {key: progress(each.progress) for key, each in known if each.progress}
        scenes = {key: {} for key in self.expected}
        for row in Scene.objects.all():
            scenes[str(row.session_id)][row.scene_number] = row.as_prompt()
        assert scenes == {key: each.scenes for key, each in known}
        events = {key: [] for key in self.expected}
        for event in SessionEvent.objects.order_by("seq"):
            events[str(event.session_id)].append((event.seq, event.kind, event.data))
        assert events == {
            key: [(number, *event) for number, event in enumerate(each.events, 1)]
            for key, each in known
        }

    @precondition(lambda self: self.expected)
    @rule(which=WHICH)
    def read(self, which):
        session_id = self.pick(which)
        expected, session = self.expected.get(session_id), self.manager.get_session(session_id)
        assert (session is None) is (expected is None)
        if session is not None:
            assert session.progress == (progress(expected.progress) if expected.progress else None)
            assert session.scenes == expected.in_order()

    @precondition(lambda self: self.expected)
    @rule(status=STATUSES)
    def count(self, status):
        self.statistics_agree()
        known = list(self.expected.values())
        assert self.manager.get_session_count() == len(known)
        found = self.manager.get_sessions_by_status(status)
        wanted = [key for key, each in self.expected.items() if each.status is status]
        assert sorted(session.session_id for session in found) == sorted(wanted)
        assert {
            info["session_id"]: (info["status"], info["num_scenes"])
            for info in self.manager.get_all_sessions_info()
        } == {key: (each.status.value, len(each.scenes)) for key, each in self.expected.items()}

    def statistics_agree(self):
        known = list(self.expected.values())
        stats = self.manager.get_performance_stats()
        assert stats["total_sessions"] == len(known)
        assert stats["status_breakdown"] == Counter(each.status.value for each in known)
        older = [sum(each.older_than(hours) for each in known) for hours in (0, 1, 6, 24)]
        assert list(stats["age_distribution"].values()) == [
            *(more - less for more, less in pairwise(older)),
            older[-1],
        ]
        health = self.manager.get_health_status()
        assert health["session_count"] == str(len(known))
        percent = 0 if self.limit is None else 100 * len(known) / self.limit
        assert health["utilization_percent"] == f"{percent:.1f}%"


def test_sessions_are_what_a_dict_would_be_after_any_calls():
    run_state_machine_as_test(
        SessionsAndADict,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=140,
            stateful_step_count=30,
            # Without Phase.shrink, which takes minutes: add it to see a shorter story.
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
