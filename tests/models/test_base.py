"""Soft delete hides a row and brings it back; enums come back as enums."""

import pytest

from session_mgmt import GenerationRequest, GenerationStatus
from session_mgmt.db.returning import update_returning
from session_mgmt.models import GenerationSession, Job
from session_mgmt.sessions import session_manager

pytestmark = pytest.mark.django_db


@pytest.fixture
def session():
    return session_manager.start(GenerationRequest(story_text="x"))


def test_soft_delete_hides_and_restore_brings_back(session):
    session.soft_delete()
    session.soft_delete()
    assert list(GenerationSession.objects.active()) == []
    assert list(GenerationSession.objects.inactive()) == [session]
    session.restore()
    assert list(GenerationSession.objects.active()) == [session]


def test_soft_delete_notes_the_time(session):
    before = session.updated_at
    session.soft_delete()
    assert GenerationSession.objects.get().updated_at > before


def test_update_returning_gives_the_rows_as_they_are_now_in_one_query(
    session, django_assert_num_queries
):
    with django_assert_num_queries(1):
        (updated,) = update_returning(
            GenerationSession.objects.filter(pk=session.pk), error_message="é"
        )
    assert updated == session
    assert updated.error_message == "é"
    assert updated.status is GenerationStatus.PENDING
    assert updated.request_data == session.request_data
    assert updated._state.adding is False


def test_update_returning_of_nothing_is_nothing(session, django_assert_num_queries):
    assert update_returning(GenerationSession.objects.filter(status="failed"), status="x") == []
    with django_assert_num_queries(0):
        assert update_returning(Job.objects.none(), status="failed") == []
