"""Who changes one object at a time with others: nothing is lost, or whoever lost it is told."""

import time

import pytest
from django.conf import settings as django_settings

from session_mgmt import StaleObjectError
from session_mgmt.db.write_behind import flush
from session_mgmt.objects import OaasObject, OaasService, get_global_oaas, oaas
from tests.objects import counting
from tests.objects.conftest import configured
from tests.objects.counting import (
    Tally,
    by_commits,
    by_retrying,
    by_retrying_in_tasks,
    by_scopes,
    change_by_another,
    copy_of,
    count_of,
    counts,
    in_threads,
    new_tally,
    state_of,
)
from tests.processes import in_processes

NEVER = 3600.0
# SQLite lets one writer in at a time, and those who wait ask again after pauses.
IS_SQLITE = django_settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
TIMES = 100 if IS_SQLITE else 1_000


@oaas.service("Giver", package="tests")
class Giver(OaasObject):
    count: int = 0

    @oaas.method(retry_on_conflict=True)
    def give(self, other, before):
        before()
        self.count -= 1
        other.count += 1
        other.notes.append("given")


def disturbed(giver, times=1):
    """Return what lets somebody else change an object, the first times that it is called."""
    calls = []

    def call():
        calls.append(1)
        if len(calls) <= times:
            theirs = get_global_oaas().new_session()
            theirs.load_object(Giver.__cls_meta__, giver.object_id).count += 100
            theirs.commit()

    call.calls = calls
    return call


def new_giver():
    giver = Giver.create()
    giver.session.commit()
    return giver


# Many count with one object


@pytest.mark.timeout(300)  # 35 s when nothing else runs
@pytest.mark.parametrize("times", [TIMES], ids="8x{}".format)
def test_eight_processes_with_retry_on_conflict_lose_no_increment(by_hand, times):
    tally = new_tally()
    in_processes(counting.in_process, [["by_retrying", tally.object_id, times]] * 8)
    assert count_of(tally) == 8 * times


def test_async_methods_of_processes_with_retry_on_conflict_lose_no_increment(by_hand):
    tally = new_tally()
    arguments = ["by_retrying_in_tasks", tally.object_id, 50]
    in_processes(counting.in_process, [arguments] * 4)
    assert count_of(tally) == 200


@pytest.mark.parametrize("way", ["by_commits", "by_scopes"])
def test_processes_without_it_are_told_of_every_loss(by_hand, way):
    tally = new_tally()
    results = in_processes(counting.in_process, [[way, tally.object_id, 100]] * 8)
    assert count_of(tally) == sum(won for won, _ in results)
    assert sum(lost for _, lost in results) > 0


def test_threads_with_retry_on_conflict_lose_no_increment(by_hand):
    tally = new_tally()
    in_threads(by_retrying, [(tally.object_id, 50)] * 8)
    assert count_of(tally) == 400


def test_tasks_with_retry_on_conflict_lose_no_increment(by_hand):
    tally = new_tally()
    in_threads(by_retrying_in_tasks, [(tally.object_id, 50)] * 4)
    assert count_of(tally) == 200


@pytest.mark.parametrize("way", [by_commits, by_scopes])
def test_threads_without_it_are_told_of_every_loss(by_hand, way):
    tally = new_tally()
    results = in_threads(way, [(tally.object_id, 50)] * 8)
    assert count_of(tally) == sum(won for won, _ in results)
    assert sum(lost for _, lost in results) > 0


# A method that repeats itself


def test_it_runs_again_on_what_somebody_else_has_stored(by_hand):
    giver, tally = new_giver(), new_tally()
    before = disturbed(giver, times=2)
    giver.give(tally, before)
    assert (len(before.calls), giver.count) == (3, 199)
    assert count_of(giver) == 199


def test_what_it_changed_in_other_objects_is_undone_before_it_runs_again(by_hand):
    giver, tally = new_giver(), new_tally()
    giver.give(tally, disturbed(giver))
    assert (tally.count, tally.notes) == (1, ["given"])
    assert state_of(tally) == {"count": 1, "notes": ["given"]}


def test_objects_that_an_undone_attempt_made_are_not_stored(by_hand):
    made = []

    @oaas.service("Maker", package="tests")
    class Maker(OaasObject):
        count: int = 0

        @oaas.method(retry_on_conflict=True)
        def make(self):
            made.append(Tally.create())
            self.count += 1
            if len(made) == 1:
                theirs = get_global_oaas().new_session()
                theirs.load_object(Maker.__cls_meta__, self.object_id).count = 5
                theirs.commit()

    maker = Maker.create()
    maker.session.commit()
    maker.make()
    OaasService.commit_all()
    assert [tally.object_id in counts() for tally in made] == [False, True]


@pytest.mark.parametrize("auto_commit", [False, True], ids=["by-hand", "in-background"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tally: tally.increment(10), {"count": 11, "notes": ["given"]}),
        (lambda tally: tally.notes.append("mine"), {"count": 1, "notes": ["mine", "given"]}),
        (lambda tally: tally.notes, {"count": 1, "notes": ["given"]}),
    ],
    ids=["a field", "inside of a list", "nothing, but a list was read"],
)
def test_what_was_changed_in_other_objects_before_it_was_called_is_not_lost(
    transactional_db, auto_commit, change, expected
):
    configured(auto_commit=auto_commit, auto_commit_interval=NEVER)
    giver, tally = new_giver(), new_tally()
    change(tally)
    giver.give(tally, disturbed(giver))
    tally.session.commit()
    assert state_of(tally) == expected


def test_what_was_changed_before_in_another_object_that_lost_a_race_is_not_dropped_in_silence(
    by_hand,
):
    giver, tally = new_giver(), new_tally()
    tally.increment(10)
    change_by_another(tally)
    with pytest.raises(StaleObjectError):
        giver.give(tally, lambda: None)


def test_it_is_committed_when_it_returns_and_other_changes_are_not(by_hand):
    tally, bystander = new_tally(), new_tally()
    bystander.increment()
    assert tally.surely_increment() == 1
    assert (count_of(tally), count_of(bystander)) == (1, 0)


def test_in_an_open_scope_the_scope_commits_it(by_hand):
    tally = new_tally()
    with OaasService.session_scope():
        tally.surely_increment()
        assert count_of(tally) == 0
    assert count_of(tally) == 1


def test_in_an_open_scope_it_does_not_run_again_and_the_scope_raises(by_hand):
    giver, tally = new_giver(), new_tally()
    before = disturbed(giver)
    with pytest.raises(StaleObjectError), OaasService.session_scope():
        giver.give(tally, before)
    assert len(before.calls) == 1
    assert (count_of(giver), count_of(tally), tally.count) == (100, 0, 0)


def test_after_the_budget_the_conflict_comes_out_and_nothing_is_changed(by_hand, settings):
    settings.SESSION_MGMT = {"RETRY_BUDGET": 0.5}
    giver, tally = new_giver(), new_tally()
    before = disturbed(giver, times=10_000)
    began = time.monotonic()
    with pytest.raises(StaleObjectError) as caught:
        giver.give(tally, before)
    assert time.monotonic() - began < 10
    assert caught.value.objects == (("tests.Giver", giver.object_id),)
    assert len(before.calls) > 1
    assert (tally.count, tally.notes) == (0, [])
    assert count_of(giver) == 100 * len(before.calls)
    assert count_of(tally) == 0


def test_with_changes_from_before_it_cannot_repeat_and_says_so(by_hand):
    tally = new_tally()
    tally.increment()
    change_by_another(tally, by=5)
    with pytest.raises(StaleObjectError):
        tally.surely_increment()
    assert count_of(tally) == 5


def test_an_error_of_its_own_is_not_repeated_and_takes_its_changes_back(by_hand):
    giver, tally = new_giver(), new_tally()
    calls = []

    def fail():
        calls.append(1)
        tally.count = 7
        1 / 0  # noqa: B018

    with pytest.raises(ZeroDivisionError):
        giver.give(tally, fail)
    assert (len(calls), tally.count) == (1, 0)
    OaasService.commit_all()
    assert count_of(tally) == 0


# Scopes that fail


@pytest.mark.parametrize("auto_commit", [False, True], ids=["by-hand", "in-background"])
def test_a_scope_that_fails_keeps_what_was_changed_inside_of_a_list_before(
    transactional_db, auto_commit
):
    configured(auto_commit=auto_commit, auto_commit_interval=NEVER)
    tally = new_tally()
    tally.notes.append("before")
    with pytest.raises(ZeroDivisionError), OaasService.session_scope():
        tally.increment()
        1 / 0  # noqa: B018
    tally.session.commit()
    assert state_of(tally) == {"count": 0, "notes": ["before"]}


@pytest.mark.parametrize("auto_commit", [False, True], ids=["by-hand", "in-background"])
def test_a_scope_that_fails_takes_back_what_it_changed_inside_of_a_list_used_before(
    transactional_db, auto_commit
):
    configured(auto_commit=auto_commit, auto_commit_interval=NEVER)
    tally = new_tally()
    tally.notes.append("before")
    with pytest.raises(ZeroDivisionError), OaasService.session_scope():
        tally.notes.append("inside")
        1 / 0  # noqa: B018
    assert tally.notes == ["before"]
    tally.session.commit()
    assert state_of(tally)["notes"] == ["before"]


# In the background


def test_of_two_processes_that_change_one_object_in_the_background_exactly_one_wins(by_hand):
    tally = new_tally()
    results = in_processes(counting.in_background, [[tally.object_id, 2]] * 2)
    (winner, loser) = sorted(results)
    assert count_of(tally) == 1
    assert winner == [False, 0, [], 1]
    is_stale, failures, messages, own = loser
    assert (is_stale, failures, own) == (True, 1, 1)
    (message,) = messages
    assert f"tests.Tally {tally.object_id} was changed by somebody else" in message


def test_a_loss_in_the_background_is_logged_and_counted_and_stops_no_other(in_background, caplog):
    tally, other = new_tally(), new_tally()
    in_background.set_auto_commit_interval(NEVER)
    before = in_background.counts.stale
    theirs = copy_of(tally)
    tally.increment()
    other.increment()
    theirs.increment(5)
    theirs.session.commit()
    flush()
    assert (count_of(tally), count_of(other)) == (5, 1)
    assert tally.is_stale
    assert not other.is_stale
    assert in_background.counts.stale == before + 1
    assert f"tests.Tally {tally.object_id} was changed" in caplog.text
    with pytest.raises(StaleObjectError):
        tally.increment()
    with pytest.raises(StaleObjectError):
        tally.session.commit()
    tally.refresh()
    tally.increment()
    flush()
    assert count_of(tally) == 6


def test_commits_of_the_thread_and_in_the_background_never_refuse_each_other(in_background):
    tally = new_tally()
    before = in_background.counts.stale
    for number in range(1, 301):
        tally.increment()
        if number % 3:
            flush()
        if number % 2:
            tally.session.commit()
    flush()
    assert count_of(tally) == 300
    assert in_background.counts.stale == before
