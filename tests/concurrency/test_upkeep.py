"""Limits are strict and locks exclude across processes; clean-up never takes what was renewed."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus, SessionLockError, signals
from session_mgmt.models import CapacityStripe, GenerationSession, Job, Scene
from session_mgmt.sessions import SessionManager, capacity, session_manager
from session_mgmt.sessions.removal import remove_oldest
from tests.concurrency.work import (
    clean_up_all,
    count_under_lock,
    create_in_pairs,
    create_up_to,
    lower_limit,
    renew_some,
    update_in_order,
)
from tests.processes import in_processes, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

REQUEST = GenerationRequest(story_text="x")
ON_POSTGRES = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer, which locks everything"
)


@pytest.mark.parametrize("limit", [50, 1100])
def test_sixteen_creators_never_exceed_a_limit_that_refuses(limit):
    there = max(0, limit - 50)
    GenerationSession.objects.bulk_create(
        GenerationSession(request_data=REQUEST) for _ in range(there)
    )
    results = in_processes(create_up_to, [[limit, "reject", 8, 4]] * 4)
    created, refused, most = (list(column) for column in zip(*results, strict=True))
    assert sum(created) == 50
    assert sum(refused) == 16 * 8 - 50
    assert max(most) <= limit
    assert GenerationSession.objects.count() == limit


@pytest.mark.parametrize("limit", [10, 1100])
def test_sixteen_creators_never_exceed_a_limit_that_evicts(limit):
    GenerationSession.objects.bulk_create(
        GenerationSession(request_data=REQUEST) for _ in range(max(0, limit - 50))
    )
    results = in_processes(create_up_to, [[limit, "evict", 8, 4]] * 4)
    created, refused, most = (list(column) for column in zip(*results, strict=True))
    assert sum(created) + sum(refused) == 16 * 8
    assert sum(created) >= 16 * 8 - 8  # refused only while all that exist are in use
    assert max(most) <= limit


def test_changes_under_a_lock_are_never_lost():
    session_id = session_manager.create_session(REQUEST)
    in_processes(count_under_lock, [[session_id, 25]] * 4)
    assert session_manager.get_session(session_id).error_message == "100"


def test_bulk_updates_in_opposite_orders_do_not_deadlock():
    ids = [session_manager.create_session(REQUEST) for _ in range(30)]
    orders = [ids, ids[::-1], ids[::2] + ids[1::2], ids[::-2]]
    done = in_processes(update_in_order, [[order, 10] for order in orders])
    assert done == [300, 300, 300, 150]


class TestTimeout:
    @pytest.fixture
    def locked_id(self):
        """Return an old session that another thread holds."""
        session_id = session_manager.create_session(REQUEST)
        two_days_ago = timezone.now() - timedelta(days=2)
        GenerationSession.objects.update(created_at=two_days_ago)
        locked, done = threading.Event(), threading.Event()

        def hold():
            def wait(_):
                locked.set()
                assert done.wait(30)

            session_manager.with_session_lock(session_id, wait)
            connection.close()

        thread = threading.Thread(target=hold)
        thread.start()
        assert locked.wait(30)
        yield session_id
        done.set()
        thread.join()

    @pytest.mark.parametrize("timeout", [0, 0.1])
    def test_a_lock_that_is_not_to_be_had_in_time_is_an_error(self, locked_id, timeout):
        with pytest.raises(SessionLockError) as refusal:
            session_manager.with_session_lock(locked_id, lambda session: 1 / 0, timeout=timeout)
        assert refusal.value.session_id == locked_id

    @ON_POSTGRES
    def test_the_transaction_goes_on_and_its_own_timeout_is_as_before(self, locked_id):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '7s'")
            other = session_manager.create_session(REQUEST)
            with pytest.raises(SessionLockError):
                session_manager.with_session_lock(locked_id, lambda session: None, timeout=0.05)
            assert session_manager.with_session_lock(other, lambda s: s.session_id, timeout=1)
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("7s",)
        assert session_manager.get_session(other) is not None

    @ON_POSTGRES
    def test_clean_up_leaves_a_session_that_is_in_use_and_takes_the_others(self, locked_id):
        old = GenerationSession.objects.create(
            request_data=REQUEST, created_at=timezone.now() - timedelta(days=3)
        )
        assert session_manager.cleanup_expired_sessions() == 1
        assert not GenerationSession.objects.filter(pk=old.pk).exists()
        assert GenerationSession.objects.filter(pk=locked_id).exists()

    @ON_POSTGRES
    def test_a_creation_evicts_what_is_not_in_use(self, locked_id):
        free = session_manager.create_session(REQUEST)
        SessionManager(2, None).create_session(REQUEST)
        left = {str(pk) for pk in GenerationSession.objects.values_list("pk", flat=True)}
        assert locked_id in left
        assert free not in left
        assert len(left) == 2


@pytest.mark.parametrize("by_django", [True, False])
def test_a_renewed_session_is_never_removed(by_django):
    old = timezone.now() - timedelta(days=2)
    sessions = GenerationSession.objects.bulk_create(
        GenerationSession(request_data=REQUEST, created_at=old) for _ in range(800)
    )
    Scene.objects.bulk_create(Scene(session=session, scene_number=1) for session in sessions)
    ids = [str(session.pk) for session in sessions]
    cleaner = threading.Thread(
        target=lambda: removed.append(in_processes(clean_up_all, [[by_django]])[0])
    )
    removed = []
    cleaner.start()
    renewed = in_processes(renew_some, [[ids[start::3]] for start in range(3)])
    cleaner.join()
    confirmed = {session_id for part in renewed for session_id in part}
    left = {str(pk) for pk in GenerationSession.objects.values_list("pk", flat=True)}
    assert confirmed <= left
    assert removed[0] == 800 - len(left)
    assert Scene.objects.count() == len(left)


@ON_POSTGRES
@pytest.mark.parametrize("by_django", [True, False])
def test_a_session_that_is_renewed_while_its_chunk_waits_stays(by_django, monkeypatch):
    """The plain cascade delete falls into this: it looks first and deletes later."""
    if not by_django:
        monkeypatch.setattr(signals.session_removed, "receivers", [])
        monkeypatch.setattr(signals.session_removed, "sender_receivers_cache", {})
    session = GenerationSession.objects.create(
        request_data=REQUEST,
        status=GenerationStatus.FAILED,
        created_at=timezone.now() - timedelta(hours=2),
    )
    hour_ago = timezone.now() - timedelta(hours=1)
    expired = GenerationSession.objects.filter(age_from__lt=hour_ago)
    looked_at, renewed = threading.Event(), threading.Event()

    def renew(execute, sql, params, many, context):
        if "FOR UPDATE" in sql:
            looked_at.set()
            assert renewed.wait(30)
        return execute(sql, params, many, context)

    def other():
        assert looked_at.wait(30)
        session_manager.renew_session(session.pk)
        connection.close()
        renewed.set()

    thread = threading.Thread(target=other)
    thread.start()
    with connection.execute_wrapper(renew):
        assert remove_oldest(expired, 10).removed == 0
    thread.join()
    assert GenerationSession.objects.filter(pk=session.pk).exists()


def test_a_limit_is_not_undershot_by_several_who_lower_it_at_once():
    GenerationSession.objects.bulk_create(
        GenerationSession(request_data=REQUEST) for _ in range(300)
    )
    in_processes(lower_limit, [[200]] * 3)
    assert GenerationSession.objects.count() == 200


def test_force_cleanup_passes_nobody_over_while_others_are_renewed():
    sessions = GenerationSession.objects.bulk_create(
        GenerationSession(request_data=REQUEST) for _ in range(2000)
    )
    ids = [str(session.pk) for session in sessions]
    idle, busy = ids[:1700], ids[1700:]
    results = []
    thread = threading.Thread(
        target=lambda: results.extend(in_processes(renew_some, [[busy * 3]] * 2))
    )
    thread.start()
    wait_until(lambda: GenerationSession.objects.filter(renewed_at__isnull=False).exists())
    session_manager.force_cleanup_all()
    thread.join()
    assert not GenerationSession.objects.filter(pk__in=idle).exists()


@ON_POSTGRES
def test_a_creation_survives_a_deadlock_with_a_transaction_that_creates_two():
    limited = SessionManager(50, None)
    GenerationSession.objects.bulk_create(
        GenerationSession(request_data=REQUEST) for _ in range(49)
    )
    results = in_processes(create_in_pairs, [[50, 10], [50, 10]])
    for _ in range(3):
        limited.create_session(REQUEST)
    assert results == [True, True]
    assert GenerationSession.objects.count() == 50


@ON_POSTGRES
def test_a_stale_count_makes_nobody_wait_for_a_creation_that_is_not_committed(monkeypatch):
    limited = SessionManager(100_000, None)
    limited.create_session(REQUEST)
    CapacityStripe.objects.update(counted_at=timezone.now() - timedelta(minutes=2))
    created, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            limited.create_session(REQUEST)
            created.set()
            assert done.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert created.wait(30)
        monkeypatch.setattr(capacity, "_tried_at", {})
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        limited.create_session(REQUEST)
    finally:
        done.set()
        thread.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert GenerationSession.objects.count() == 3


@ON_POSTGRES
@pytest.mark.parametrize("by_django", [True, False])
def test_a_job_that_somebody_has_locked_keeps_its_session_and_no_other(by_django, monkeypatch):
    if not by_django:
        monkeypatch.setattr(signals.session_removed, "receivers", [])
        monkeypatch.setattr(signals.session_removed, "sender_receivers_cache", {})
    old = timezone.now() - timedelta(days=2)
    sessions = GenerationSession.objects.bulk_create(
        GenerationSession(request_data=REQUEST, created_at=old) for _ in range(5)
    )
    job, _ = Job.objects.create_if_not_exists("t", "1", session=sessions[2])
    locked, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Job.objects.select_for_update().get(pk=job.pk)
            locked.set()
            assert done.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert locked.wait(30)
        assert session_manager.cleanup_expired_sessions() == 4
        assert list(GenerationSession.objects.values_list("pk", flat=True)) == [sessions[2].pk]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
            )
            assert cursor.fetchone() == ("0", "0")
    finally:
        done.set()
        thread.join()
    assert session_manager.cleanup_expired_sessions() == 1
