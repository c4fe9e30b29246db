"""Clean-up removes what has expired by the seed's rules, and nothing else (seed 001)."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import ProtectedError
from django.db.models.signals import pre_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from session_mgmt import GenerationStatus, signals
from session_mgmt.models import CommitToken, GenerationSession, Job, Scene
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


@contextmanager
def model_of_the_project(name, **fields):
    """Yield the manager of a model that a project might have."""
    meta = type("Meta", (), {"app_label": "session_mgmt"})
    members = {"__module__": __name__, "Meta": meta, **fields}
    model = type(name, (models.Model,), members)
    with connection.schema_editor() as editor:
        editor.create_model(model)
    try:
        yield model.objects
    finally:
        model.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.delete_model(model)
        del apps.all_models["session_mgmt"][name.lower()]
        apps.clear_cache()


@pytest.fixture
def invoices(transactional_db):
    """Protect the sessions they belong to."""
    key = models.ForeignKey(GenerationSession, models.PROTECT)
    with model_of_the_project("Invoice", session=key) as objects:
        yield objects


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("target", "key"),
    [
        (GenerationSession, lambda session: session),
        (Scene, lambda session: session.scene_rows.get()),
        (Job, lambda session: session.jobs.get()),
    ],
)
def test_what_a_project_hangs_on_a_session_goes_with_it(manager, target, key):
    session = make(S.FAILED, 5)
    fill(session)
    hidden = models.ForeignKey(target, models.CASCADE, related_name="+")
    with model_of_the_project("Note", target=hidden) as notes:
        notes.create(target=key(session))
        assert manager.cleanup_expired_sessions() == 1
        assert not notes.exists()


@pytest.mark.django_db(transaction=True)
def test_a_row_that_django_does_not_know_of_keeps_its_session_and_no_other(manager, caplog):
    sessions = [make(S.FAILED, 5 + number) for number in range(4)]
    table = connection.ops.quote_name(GenerationSession._meta.db_table)
    kind = GenerationSession._meta.pk.db_type(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE foreigner (session {kind} REFERENCES {table} (id)"
            " DEFERRABLE INITIALLY DEFERRED)"
        )
    try:
        kept = sessions[2]
        value = GenerationSession._meta.pk.get_db_prep_value(kept.pk, connection)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO foreigner VALUES (%s)", [value])
        assert manager.cleanup_expired_sessions() == 3
        assert left() == {kept.pk}
        assert f"Session {kept.pk} stays" in caplog.text
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE foreigner")


def test_receivers_of_django_s_own_signals_get_the_whole_session(manager):
    heard = []

    def hear(instance, **_):
        heard.append((instance.status, instance.error_message, instance.request_data.story_text))

    pre_delete.connect(hear, sender=GenerationSession)
    try:
        make(S.FAILED, 5, error_message="no ink")
        manager.cleanup_expired_sessions()
    finally:
        pre_delete.disconnect(hear, sender=GenerationSession)
    assert heard == [(S.FAILED, "no ink", "A story.")]


def test_those_of_one_age_go_although_one_of_them_must_stay(manager, invoices):
    moment = timezone.now() - timedelta(hours=5)
    sessions = [make(S.FAILED, renewed_at=moment) for _ in range(6)]
    for protected in (sessions[0], sessions[3]):
        invoices.create(session=protected)
    for size in (1, 2):
        clean_up(expiry_rules(), "default", batch_size=size)
        assert left() == {sessions[0].pk, sessions[3].pk}


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
