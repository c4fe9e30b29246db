"""Events of a session are numbered in the order in which they commit, whoever writes (P3)."""

import pytest

from session_mgmt import GenerationRequest
from session_mgmt.models import GenerationSession, Scene, SessionEvent
from session_mgmt.sessions import session_manager
from tests.concurrency.work import add_scenes, watch_events
from tests.processes import in_processes

pytestmark = pytest.mark.django_db(transaction=True)


def test_racing_writers_number_events_without_gap_or_double():
    session_id = session_manager.create_session(GenerationRequest(story_text="x"))
    in_processes(add_scenes, [[session_id, number, 50] for number in range(4)])
    seqs = list(
        SessionEvent.objects.filter(session=session_id)
        .order_by("seq")
        .values_list("seq", flat=True)
    )
    assert seqs == list(range(1, 202))
    assert GenerationSession.objects.get().last_event == 201
    assert Scene.objects.count() == 200


def test_a_watcher_that_reads_on_from_the_last_number_misses_nothing():
    session_id = session_manager.create_session(GenerationRequest(story_text="x"))
    writers = [["add_scenes", session_id, number, 40] for number in range(3)]
    watcher = ["watch_events", session_id, 0, 121]
    *_, seen = in_processes(do, [*writers, watcher])
    assert seen == list(range(1, 122))


def do(name, *arguments):
    return {"add_scenes": add_scenes, "watch_events": watch_events}[name](*arguments)
