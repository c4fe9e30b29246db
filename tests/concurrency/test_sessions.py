"""Sessions are right when processes race: one start for a key, one winner of an ending."""

import pytest

from session_mgmt import GenerationRequest, GenerationStatus
from session_mgmt.models import GenerationSession, SessionEvent
from session_mgmt.sessions import session_manager
from tests.concurrency.work import end_sessions, start_sessions
from tests.processes import in_processes

pytestmark = pytest.mark.django_db(transaction=True)


def test_racing_starts_under_one_key_give_one_session():
    first, *others = in_processes(start_sessions, [[60]] * 4)
    assert others == [first] * 3
    assert GenerationSession.objects.count() == len(set(first)) == 60
    assert SessionEvent.objects.count() == 60


def test_of_two_endings_one_wins_and_stays():
    request = GenerationRequest(story_text="x")
    ids = [session_manager.create_session(request) for _ in range(60)]
    endings = [GenerationStatus.COMPLETED, GenerationStatus.FAILED, GenerationStatus.CANCELLED]
    won = in_processes(end_sessions, [[ids, ending] for ending in endings])
    for session_id, *answers in zip(ids, *won, strict=True):
        assert answers.count(True) == 1
        winner = endings[answers.index(True)]
        assert session_manager.get_session(session_id).status is winner
    assert SessionEvent.objects.filter(kind="status_changed").count() == 60
