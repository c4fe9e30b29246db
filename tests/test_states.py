"""The transition table is the one that the documents promise."""

from session_mgmt.states import TRANSITIONS, GenerationStatus, sources_of

PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED = GenerationStatus


def test_terminal_statuses_are_sticky_and_the_others_lead_on():
    assert {status for status in GenerationStatus if status.is_terminal} == {
        COMPLETED,
        FAILED,
        CANCELLED,
    }
    assert TRANSITIONS[PENDING] == {PROCESSING, COMPLETED, FAILED, CANCELLED}
    assert TRANSITIONS[PROCESSING] == {PENDING, COMPLETED, FAILED, CANCELLED}


def test_sources_mirror_the_transitions():
    assert sources_of(PROCESSING) == {PENDING}
    assert sources_of(FAILED) == {PENDING, PROCESSING}
