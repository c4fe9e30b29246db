"""Clean-up removes what has expired by the seed's rules, and nothing else (seed 001)."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from session_mgmt import GenerationStatus, signals
from session_mgmt.models import CommitToken, GenerationSession
from session_mgmt.sessions import SessionManager
from session_mgmt.sessions.cleanup import clean_up, count_removable, prune_tokens
from session_mgmt.sessions.expiry import expiry_rules
from tests.sessions.ages import children, fill, left, make

pytestmark = pytest.mark.django_db

S = GenerationStatus


@pytest.fixture(params=["by the database", "by Django"], autouse=True)
def way(request, monkeypatch):
    """Have rows deleted in either way; a receiver, such as the example's, needs Django's."""
    if request.param == "by the database":
        monkeypatch.setattr(signals.session_removed, "receivers", [])
        monkeypatch.setattr(signals.session_removed, "sender_receivers_cache", {})


@pytest.fixture
def manager():
    return SessionManager(None, None)


@pytest.mark.parametrize(
    ("status", "young", "old"),
    [
        (S.PENDING, 23.9, 24.1),
        (S.PROCESSING, 23.9, 24.1),
        (S.CANCELLED, 23.9, 24.1),
        (S.COMPLETED, 5.9, 6.1),
        (S.FAILED, 0.9, 1.1),
    ],
)
def test_a_session_expires_by_its_status_and_age(manager, status, young, old):
    stays = make(status, young)
    make(status, old)
    assert manager.cleanup_expired_sessions() == 1
    assert left() == {stays.pk}


def test_the_seeds_argument_changes_the_general_age_only(manager):
    stays = [make(S.PENDING, 1.9), make(S.COMPLETED, 1.9)]
    make(S.PENDING, 2.1)
    make(S.COMPLETED, 2.1)
    assert manager._cleanup_expired_sessions(max_age_hours=2) == 2
    assert left() == {session.pk for session in stays}


def test_ages_come_from_the_settings(manager, settings):
    settings.SESSION_MGMT = {"MAX_AGE": timedelta(hours=2), "COMPLETED_MAX_AGE": 60}
    make(S.PENDING, 2.1)
    make(S.COMPLETED, 0.1)
    stays = make(S.PENDING, 1.9)
    assert manager.cleanup_expired_sessions() == 2
    assert left() == {stays.pk}


def test_renewing_lets_the_age_count_anew(manager):
    session = make(S.PENDING, 30)
    assert manager.renew_session(session.pk)
    assert manager.get_session(session.pk).get_age_hours() < 0.1
    assert manager.cleanup_expired_sessions() == 0


def test_everything_of_a_session_goes_with_it(manager):
    fill(make(S.FAILED, 2))
    stays = make()
    fill(stays)
    manager.cleanup_expired_sessions()
    assert left() == {stays.pk}
    assert children() == [1, 1, 1, 1]


def test_failed_and_completed_can_be_cleaned_by_themselves(manager):
    make(S.FAILED)
    make(S.COMPLETED, 7)
    stays = [make(S.COMPLETED, 5), make(S.PENDING, 100)]
    assert manager.cleanup_failed_sessions() == 1
    assert manager.cleanup_completed_sessions() == 1
    assert left() == {session.pk for session in stays}
    assert manager.cleanup_completed_sessions(max_age_hours=4) == 1


def test_force_cleanup_removes_all(manager):
    for status in S:
        fill(make(status))
    assert manager.force_cleanup_all() == 5
    assert left() == set()
    assert children() == [0, 0, 0, 0]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_chunks_of_any_size_find_all(size):
    same = timezone.now() - timedelta(hours=50)
    for _ in range(7):
        GenerationSession.objects.create(request_data=make().request_data, created_at=same)
    stays = set(GenerationSession.objects.exclude(created_at=same).values_list("pk", flat=True))
    done = clean_up(expiry_rules(), "default", batch_size=size)
    assert done.total == 7
    assert left() == stays


def test_it_stops_between_chunks_when_it_is_asked_to():
    for _ in range(5):
        make(S.PENDING, 50)
    done = clean_up(expiry_rules(), "default", batch_size=2, should_stop=lambda: True)
    assert (done.total, done.stopped, len(left())) == (2, True, 3)


def test_a_chunk_costs_the_same_queries_at_any_size():
    def cost(number):
        for _ in range(number):
            fill(make(S.PENDING, 50))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            clean_up(expiry_rules(), "default")
        return len(queries)

    assert cost(40) == cost(4)


def test_counting_changes_nothing():
    make(S.PENDING, 50)
    make(S.FAILED, 50)
    make()
    assert count_removable(expiry_rules(), "default") == {
        "max_age": 1,
        "completed": 0,
        "failed": 1,
    }
    assert len(left()) == 3


def test_receivers_get_the_session_as_it_was(manager, django_capture_on_commit_callbacks):
    heard = []

    def hear(signal, session_id, session, **_):
        names = {signals.session_expired: "expired", signals.session_removed: "removed"}
        heard.append((names[signal], session_id, session.request_data.story_text))

    for signal in (signals.session_expired, signals.session_removed):
        signal.connect(hear)
    try:
        session = make(S.PENDING, 50)
        with django_capture_on_commit_callbacks(execute=True):
            manager.cleanup_expired_sessions()
        failed = make(S.FAILED)
        with django_capture_on_commit_callbacks(execute=True):
            manager.cleanup_failed_sessions()
    finally:
        for signal in (signals.session_expired, signals.session_removed):
            signal.disconnect(hear)
    assert heard == [
        ("expired", session.session_id, "A story."),
        ("removed", session.session_id, "A story."),
        ("removed", failed.session_id, "A story."),
    ]


def test_a_session_whose_request_cannot_be_read_goes_too(manager):
    session = make(S.FAILED, 5)
    table = GenerationSession._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET request_data = '{{}}'")  # noqa: S608

    def hear(**_):
        pass

    signals.session_removed.connect(hear)
    try:
        assert manager.cleanup_expired_sessions() == 1
    finally:
        signals.session_removed.disconnect(hear)
    assert session.pk not in left()


@pytest.fixture
def invoices(transactional_db):
    """A project's own model that protects the session it belongs to."""

    class Invoice(models.Model):  # noqa: DJ008 # nobody looks at it
        session = models.ForeignKey(GenerationSession, models.PROTECT)

        class Meta:
            app_label = "session_mgmt"

    with connection.schema_editor() as editor:
        editor.create_model(Invoice)
    yield Invoice.objects
    Invoice.objects.all().delete()
    with connection.schema_editor() as editor:
        editor.delete_model(Invoice)
    del apps.all_models["session_mgmt"]["invoice"]
    apps.clear_cache()


def test_a_row_of_the_project_protects_its_session_and_no_other(manager, caplog, invoices):
    sessions = [make(S.FAILED, 5) for _ in range(5)]
    invoices.create(session=sessions[2])
    assert manager.cleanup_expired_sessions() == 4
    assert left() == {sessions[2].pk}
    assert f"Session {sessions[2].pk} stays" in caplog.text
    with pytest.raises(ProtectedError):
        manager.remove_session(sessions[2].pk)


def test_old_commit_tokens_are_pruned():
    now = timezone.now()
    CommitToken.objects.create(token="old", holder="h", created_at=now - timedelta(days=8))
    CommitToken.objects.create(token="new", holder="h", created_at=now - timedelta(days=6))
    assert prune_tokens("default") == 1
    assert CommitToken.objects.get().token == "new"


def test_inside_a_transaction_of_the_caller_it_is_undone_with_it(manager):
    make(S.FAILED, 5)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        manager.cleanup_expired_sessions()
        1 / 0  # noqa: B018
    assert len(left()) == 1


def test_removing_the_oldest_is_the_seeds(manager):
    make(hours=1)
    oldest = make(hours=2)
    assert manager._remove_oldest_session() is True
    assert oldest.pk not in left()
    assert manager._remove_oldest_session() is True
    assert manager._remove_oldest_session() is False
