"""The number of sessions stays below the limit, by eviction or refusal (seed 001)."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from session_mgmt import GenerationStatus, IdempotencyConflictError, SessionCapacityError
from session_mgmt.models import CapacityStripe, GenerationSession
from session_mgmt.sessions import SessionManager, capacity, session_manager
from tests.sessions.ages import REQUEST, fill, left, make

pytestmark = pytest.mark.django_db

S = GenerationStatus


@pytest.fixture
def small_shares(monkeypatch):
    """Let limits from 4 on be shared out, as those above 1,000 are."""
    monkeypatch.setattr(capacity, "_ALWAYS_COUNTED", 3)
    monkeypatch.setattr(capacity, "_refused_at", {})
    monkeypatch.setattr(capacity, "_tried_at", {})


def manager(limit=3, policy="evict"):
    return SessionManager(limit, None, policy)


def test_without_a_limit_there_is_none():
    unlimited = manager(None)
    for _ in range(5):
        unlimited.create_session(REQUEST)
    assert len(left()) == 5


def test_the_oldest_goes_when_nothing_else_can():
    oldest = make(hours=3)
    others = {make(hours=2).pk, make(S.PROCESSING, 1).pk}
    new = manager().start(REQUEST)
    assert left() == others | {new.pk}
    assert oldest.pk not in left()


def test_a_finished_one_goes_before_an_older_one_that_is_not():
    stays = {make(hours=3).pk, make(S.COMPLETED, 1).pk}
    make(S.CANCELLED, 2)
    new = manager().start(REQUEST)
    assert left() == stays | {new.pk}


def test_expired_ones_go_first_and_all_of_them():
    stays = make(S.COMPLETED, 1).pk
    make(S.FAILED, 2)
    make(S.PENDING, 25)
    new = manager().start(REQUEST)
    assert left() == {stays, new.pk}


def test_what_belongs_to_an_evicted_session_goes_too():
    for hours in (3, 2, 1):
        fill(make(hours=hours))
    manager().create_session(REQUEST)
    assert GenerationSession.objects.filter(scene_rows__isnull=False).count() == 2


def test_a_limit_that_was_exceeded_before_is_kept_from_then_on():
    for hours in range(9, 1, -1):
        make(hours=hours)
    manager().create_session(REQUEST)
    assert len(left()) == 3


def test_the_policy_reject_refuses_and_removes_nothing():
    before = {make(S.COMPLETED, 50).pk, make().pk, make().pk}
    with pytest.raises(SessionCapacityError, match="3 may exist") as refusal:
        manager(policy="reject").start(REQUEST)
    assert refusal.value.max_sessions == 3
    assert left() == before


def test_a_known_key_gives_its_session_back_even_without_room():
    limited = manager(1, "reject")
    first = limited.start(REQUEST, idempotency_key="k")
    assert limited.start(REQUEST, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflictError):
        limited.start(REQUEST.model_copy(update={"num_scenes": 2}), idempotency_key="k")
    with pytest.raises(SessionCapacityError):
        limited.start(REQUEST, idempotency_key="other")


def test_room_that_was_made_is_found_again():
    limited = manager(1, "reject")
    limited.remove_session(limited.create_session(REQUEST))
    assert limited.create_session(REQUEST)


def test_a_site_s_limit_is_in_the_settings(settings):
    settings.SESSION_MGMT = {"MAX_SESSIONS": 2, "CAPACITY_POLICY": "reject"}
    for _ in range(2):
        session_manager.create_session(REQUEST)
    with pytest.raises(SessionCapacityError):
        session_manager.create_session(REQUEST)
    settings.SESSION_MGMT = {"MAX_SESSIONS": 2, "CAPACITY_POLICY": "evict"}
    session_manager.create_session(REQUEST)
    assert len(left()) == 2


@pytest.mark.usefixtures("small_shares")
class TestShares:
    @pytest.mark.parametrize("limit", [4, 17, 40])
    def test_exactly_as_many_as_allowed_are_created(self, limit):
        limited = manager(limit, "reject")
        for _ in range(limit):
            limited.create_session(REQUEST)
        with pytest.raises(SessionCapacityError):
            limited.create_session(REQUEST)
        assert len(left()) == limit

    def test_far_from_the_limit_nothing_is_counted(self):
        limited = manager(1000)
        limited.create_session(REQUEST)
        with CaptureQueriesContext(connection) as queries:
            limited.create_session(REQUEST)
        statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
        assert len(statements) == 3, statements  # a place, the session, its event
        assert not any("COUNT" in sql for sql in statements)

    def test_a_rollback_gives_the_place_back(self):
        limited = manager(100)
        limited.create_session(REQUEST)
        before = sum(CapacityStripe.objects.values_list("free", flat=True))
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            limited.create_session(REQUEST)
            1 / 0  # noqa: B018
        assert sum(CapacityStripe.objects.values_list("free", flat=True)) == before == 99

    def test_another_limit_counts_anew(self):
        for _ in range(5):
            manager(40, "reject").create_session(REQUEST)
        assert manager(6, "reject").create_session(REQUEST)
        with pytest.raises(SessionCapacityError):
            manager(6, "reject").create_session(REQUEST)

    def test_sessions_that_came_by_another_way_are_noticed_within_a_minute(
        self, django_capture_on_commit_callbacks
    ):
        limited = manager(10, "reject")
        limited.create_session(REQUEST)
        for _ in range(9):
            make()
        long_ago = timezone.now() - timedelta(minutes=2)
        CapacityStripe.objects.update(counted_at=long_ago)
        with django_capture_on_commit_callbacks(execute=True):
            limited.create_session(REQUEST)
        assert sum(CapacityStripe.objects.values_list("free", flat=True)) == 0
        with pytest.raises(SessionCapacityError):
            limited.create_session(REQUEST)

    def test_a_large_site_makes_room_for_several_at_once(self, monkeypatch):
        monkeypatch.setattr(capacity, "MOST_EVICTED_AT_ONCE", 5)
        limited = manager(20)
        for _ in range(21):
            limited.create_session(REQUEST)
        assert len(left()) == 17  # 20 // 5 went at once
        assert sum(CapacityStripe.objects.values_list("free", flat=True)) == 3


class TestManager:
    def test_it_can_be_made_from_a_config(self):
        made = SessionManager.create_with_config({"max_sessions": 7})
        assert (made.max_sessions, made.cleanup_interval, made.policy) == (7, 3600, "evict")

    def test_reducing_the_limit_removes_what_has_expired_and_what_is_above_it(self):
        youngest = make()
        make(S.COMPLETED)
        make(hours=25)
        made = manager(100)
        made.reconfigure(max_sessions=2)
        assert len(left()) == 2
        made.reconfigure(max_sessions=1)
        assert made.max_sessions == 1
        assert left() == {youngest.pk}

    def test_reducing_it_removes_only_what_has_expired_where_the_policy_is_to_reject(self):
        stays = {make().pk, make().pk}
        make(hours=25)
        manager(100, "reject").reconfigure(max_sessions=1)
        assert left() == stays

    def test_raising_it_removes_nothing(self):
        make(hours=25)
        manager(1).reconfigure(max_sessions=10, cleanup_interval=5)
        assert len(left()) == 1

    def test_an_owner_s_sessions_count_like_any(self):
        owner = get_user_model().objects.create_user("anna")
        limited = manager(1)
        limited.start(REQUEST, owner=owner)
        limited.start(REQUEST)
        assert len(left()) == 1
