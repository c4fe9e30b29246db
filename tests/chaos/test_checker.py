"""The checker finds a planted loss, a planted double effect and a planted overlap."""

import pytest

from tests.chaos.checker import check
from tests.chaos.history import History

DONE = {
    "job": "a",
    "status": "completed",
    "attempt": 2,
    "result": {"attempt": 2},
    "error": "",
    "session": "completed",
}
EFFECT = {"job": "a", "name": "effect", "attempt": 2, "at": 7.0}
STEP = {"job": "a", "name": "step 0", "attempt": 1, "at": 2.0}


def event(what, attempt, at, **more):
    return {"what": what, "job": "a", "attempt": attempt, "at": at, **more}


# The first attempt does a step and dies; the second goes on.
HISTORY = [
    event("asked", 0, 0.0),
    event("created", 0, 0.5),
    event("begin", 1, 1.0),
    event("ran", 1, 2.0, step=0),
    event("stored", 1, 3.0, step=0),
    event("begin", 2, 5.0),
    event("stored", 2, 6.0, step=0),
    event("ran", 2, 6.5, step="effect"),
    event("stored", 2, 7.5, step="effect"),
    event("end", 2, 8.0),
]


def test_a_history_as_it_should_be_is_accepted():
    assert check(HISTORY, [DONE], [STEP, EFFECT]).all == []


def test_a_request_that_was_not_answered_may_be_there_or_not():
    asked = HISTORY[:1]
    assert check(asked, [], []).all == []
    assert check(asked, [DONE], [EFFECT]).all == []


@pytest.mark.parametrize(
    ("jobs", "writes", "lost"),
    [
        ([], [], "a was created and is not there"),
        ([DONE | {"status": "pending", "error": "why"}], [EFFECT], "a is pending: why"),
        ([DONE | {"status": "running"}], [EFFECT], "a is running: "),
        ([DONE | {"status": "failed"}], [EFFECT], "a is failed: "),
        ([DONE], [STEP], "a is completed without its effect"),
        ([DONE | {"session": "pending"}], [EFFECT], "a is completed, its session pending"),
    ],
)
def test_a_loss_is_found(jobs, writes, lost):
    findings = check(HISTORY, jobs, writes)
    assert findings.lost == [lost]
    assert findings.all == findings.lost


@pytest.mark.parametrize(
    ("more", "jobs", "writes", "duplicated"),
    [
        ([], [DONE, DONE], [EFFECT], "a has 2 runs"),
        ([], [DONE], [EFFECT, EFFECT], "a has 2 effects"),
        ([event("begin", 2, 5.1)], [DONE], [EFFECT], "attempt 2 of a has 2 beginnings"),
        ([event("ran", 2, 6.0, step=0)], [DONE], [EFFECT], "attempt 2 of a ran 0 again"),
    ],
)
def test_what_was_done_twice_is_found(more, jobs, writes, duplicated):
    findings = check([*HISTORY, *more], jobs, writes)
    assert findings.duplicated == [duplicated]
    assert findings.all == findings.duplicated


@pytest.mark.parametrize(
    ("jobs", "writes", "overlapping"),
    [
        (
            [DONE],
            [EFFECT, STEP | {"at": 5.25}],
            "attempt 1 of a wrote step 0 0.250 s after attempt 2 began",
        ),
        (
            [DONE],
            [EFFECT | {"attempt": 1, "at": 6.0}],
            "attempt 1 of a wrote effect 1.000 s after attempt 2 began",
        ),
        (
            [DONE | {"result": {"attempt": 1}}],
            [EFFECT],
            "a is in attempt 2 and has {'attempt': 1}",
        ),
    ],
)
def test_an_overlap_is_found(jobs, writes, overlapping):
    findings = check(HISTORY, jobs, writes)
    assert findings.overlapping == [overlapping]
    assert findings.all == findings.overlapping


def test_a_zombie_may_run_the_code_of_a_step_again():
    zombie = event("ran", 1, 6.2, step="effect")
    assert check([*HISTORY[:-1], zombie, HISTORY[-1]], [DONE], [EFFECT]).all == []


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path):
    history = History(tmp_path / "history")
    assert history.follow() == []
    history.append("begin", "a", 1, step=0)
    with history.path.open("a") as file:
        file.write('{"what": "end"')
    assert [event["what"] for event in history.follow()] == ["begin"]
    with history.path.open("a") as file:
        file.write(', "job": "b"}\n')
    assert [event["what"] for event in history.follow()] == ["begin", "end"]
    assert [event["what"] for event in history.of("b")] == ["end"]
