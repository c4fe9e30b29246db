"""`session.track` counts steps at any rate, and the session's progress follows."""

import asyncio
import time
from contextlib import nullcontext
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.utils import timezone

from session_mgmt import GenerationRequest, InvalidInputError
from session_mgmt.models import GenerationSession, Progress
from session_mgmt.models.pace import Pace, seconds_left
from session_mgmt.models.progress_flush import ProgressState
from session_mgmt.sessions import SessionManager

pytestmark = pytest.mark.django_db

LIMIT = 2_147_483_647


@pytest.fixture(autouse=True)
def at_once(settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0}


@pytest.fixture
def session():
    return SessionManager().start(GenerationRequest(story_text="x"))


def stored():
    """Return what is in the only row."""
    row = Progress.objects.get()
    return row.current_step, row.total_steps, row.description


# The forms


def test_a_loop_steps_after_each_item(session):
    tracked = session.track(["a", "b", "c"], description="Drawing")
    seen = [(item, *stored()) for item in tracked]
    assert seen == [
        ("a", 0, 3, "Drawing"),
        ("b", 1, 3, "Drawing"),
        ("c", 2, 3, "Drawing"),
    ]
    assert stored() == (3, 3, "Drawing")


def test_a_loop_without_a_length_has_no_total(session):
    assert list(session.track(iter("abc"))) == ["a", "b", "c"]
    assert stored() == (3, 0, "")


def test_a_query_is_tracked_with_its_length(session):
    assert list(session.track(GenerationSession.objects.all())) == [session]
    assert stored() == (1, 1, "")


def test_a_given_total_counts_more_than_the_length(session):
    for _ in session.track("abc", total=5):
        pass
    assert stored() == (3, 5, "")


def test_steps_are_made_by_hand(session):
    with session.track(total=10, description="Counting") as progress:
        assert stored() == (0, 10, "Counting")
        progress.step()
        assert stored() == (1, 10, "Counting")
        progress.step(3, description="Nearly")
        assert stored() == (4, 10, "Nearly")
        progress.step(0)
    assert stored() == (4, 10, "Nearly")


@pytest.mark.parametrize("ending", ["break", "error"])
def test_leaving_a_loop_leaves_what_was_reached(session, ending):
    with nullcontext() if ending == "break" else pytest.raises(RuntimeError):
        for item in session.track(range(10)):
            if item == 4 and ending == "break":
                break
            if item == 4:
                raise RuntimeError
    assert stored() == (4, 10, "")


def test_nothing_to_do_is_done(session):
    assert list(session.track([])) == []
    assert stored() == (0, 0, "")


def test_more_steps_than_the_total_raise_it(session):
    with session.track(total=2) as progress:
        progress.step(2)
        assert stored() == (2, 2, "")
        progress.step(3)
        assert stored() == (5, 5, "")
        assert progress.remaining == timedelta(0)


def test_a_count_stays_within_what_the_column_holds(session):
    for total in (None, LIMIT):
        with session.track(total=total) as progress:
            progress.step(LIMIT - 1)
            progress.step(5)
        assert stored() == (LIMIT, total or 0, "")


@pytest.mark.django_db(transaction=True)
class TestAsync:
    @staticmethod
    def run(coroutine):
        async def whole():
            try:
                return await coroutine
            finally:
                await sync_to_async(connections.close_all)()

        return asyncio.run(whole())

    @staticmethod
    async def letters():
        for letter in "abc":
            await asyncio.sleep(0)
            yield letter

    def test_a_loop_over_either_kind_of_iterable(self, session):
        async def track(items):
            return [item async for item in session.track(items, description="Drawing")]

        assert self.run(track(self.letters())) == ["a", "b", "c"]
        assert stored() == (3, 0, "Drawing")
        assert self.run(track("abcd")) == ["a", "b", "c", "d"]
        assert stored() == (4, 4, "Drawing")

    def test_a_query_is_tracked_without_asking_for_its_length(self, session):
        async def track():
            return [item async for item in session.track(GenerationSession.objects.all())]

        assert self.run(track()) == [session]
        assert stored() == (1, 0, "")

    def test_steps_are_made_by_hand(self, session):
        async def track():
            async with session.track(total=4) as progress:
                progress.step()
                assert not await Progress.objects.filter(current_step=1).aexists()
                progress.step(2)

        self.run(track())
        assert stored() == (3, 4, "")

    def test_leaving_a_loop_leaves_what_was_reached(self, session):
        async def track():
            async for item in session.track(self.letters()):
                if item == "c":
                    break

        self.run(track())
        assert stored() == (2, 0, "")

    def test_the_wrong_loop_is_told_so(self, session):
        with pytest.raises(InvalidInputError, match="iterable: "):
            next(iter(session.track(self.letters())))

        async def track():
            async for _ in session.track(total=3):
                pass

        with pytest.raises(InvalidInputError, match="iterable: is missing"):
            self.run(track())


# Bad input

BAD_COUNTS = [-1, True, 1.0, "1", b"1", [], LIMIT * 1j]
BAD_TEXTS = [5, b"x", ["x"], "a\x00", "\ud800", "x" * 2001]


@pytest.mark.parametrize(
    "arguments",
    [
        *({"total": bad} for bad in [*BAD_COUNTS, LIMIT + 1]),
        *({"description": bad} for bad in [*BAD_TEXTS, None]),
        *({"iterable": bad} for bad in [5, object(), len]),
    ],
    ids=repr,
)
def test_a_bad_argument_starts_nothing(session, arguments):
    with pytest.raises(InvalidInputError, match=f"{next(iter(arguments))}: "):
        session.track(**arguments)
    assert not Progress.objects.exists()


@pytest.mark.parametrize("n", [*BAD_COUNTS, None])
def test_a_bad_number_of_steps_changes_nothing(session, n):
    with session.track(total=9, description="before") as progress:
        with pytest.raises(InvalidInputError, match="n: "):
            progress.step(n, description="after")
        progress.step()
    assert stored() == (1, 9, "before")


@pytest.mark.parametrize("description", BAD_TEXTS)
def test_a_bad_description_changes_nothing(session, description):
    with session.track(total=9, description="before") as progress:
        with pytest.raises(InvalidInputError, match="description: "):
            progress.step(description=description)
        progress.step()
    assert stored() == (1, 9, "before")


def test_a_length_that_no_column_holds_is_not_known(session):
    for number in (LIMIT + 1, 10**30):
        next(iter(session.track(range(number))))
        assert stored() == (0, 0, "")


def test_a_session_that_is_not_stored_is_refused(session):
    with pytest.raises(InvalidInputError, match="session: is not in the database"):
        GenerationSession(request_data={"story_text": "x"}).track("abc")
    session.delete()
    with pytest.raises(InvalidInputError, match="session: is not in the database"):
        session.track("abc")


def test_a_session_that_was_removed_is_passed_over(session):
    for _ in session.track("abc"):
        GenerationSession.objects.all().delete()
    assert not Progress.objects.exists()


# What is newer


def state(session, step, moment):
    return ProgressState(session.pk, step, 10, "", None, moment)


def test_an_older_state_never_replaces_a_newer_one(session):
    now = timezone.now()
    assert Progress.objects.record_many([state(session, 5, now)]) == [session.pk]
    assert Progress.objects.record_many([state(session, 4, now - timedelta(seconds=1))]) == []
    assert stored() == (5, 10, "")
    assert Progress.objects.record_many([state(session, 5, now)]) == [session.pk]
    later = now.replace(microsecond=0) + timedelta(seconds=1)
    assert Progress.objects.record_many([state(session, 3, later)]) == [session.pk]
    assert Progress.objects.record_many([state(session, 1, now)]) == []
    assert stored() == (3, 10, "")


def test_a_direct_update_after_a_step_wins_until_the_next_step(session):
    manager = SessionManager()
    with session.track(total=10) as progress:
        progress.step(2)
        manager.update_session_progress(session.pk, 7, 8, "direct")
        Progress.objects.record_many([progress.snapshot()])
        assert stored() == (7, 8, "direct")
        assert Progress.objects.get().rate is None
        progress.step()
    assert stored() == (3, 10, "")


def test_of_two_trackers_the_one_that_stepped_last_shows(session):
    one, two = session.track(total=10), session.track(total=20)
    one.step()
    assert stored() == (1, 10, "")
    two.step()
    assert stored() == (1, 20, "")
    one.step()
    assert stored() == (2, 10, "")


def test_many_sessions_are_written_by_one_statement(session, django_assert_num_queries):
    template = {"request_data": session.request_data}
    sessions = [GenerationSession(**template) for _ in range(300)]
    ids = {new.pk for new in GenerationSession.objects.bulk_create(sessions)}
    gone = GenerationSession(**template)
    for step in (1, 2):
        moment = timezone.now()
        with django_assert_num_queries(1):
            written = Progress.objects.record_many(
                state(one, step, moment) for one in [*sessions, gone]
            )
        assert set(written) == ids
        assert set(Progress.objects.values_list("current_step", flat=True)) == {step}


def test_a_text_comes_back_as_it_was(session):
    text = "%s '\"\\ \N{SNOWMAN} \U0001f58c $1 {}\n"
    with session.track(description=text):
        pass
    assert stored() == (0, 0, text)


def test_a_rollback_takes_the_session_and_its_progress(session):
    with transaction.atomic():
        list(SessionManager().start(session.request_data).track("abc"))
        assert stored() == (3, 3, "")
        transaction.set_rollback(True)
    assert not Progress.objects.exists()


# Rate and time left


def test_the_rate_and_the_time_left_are_known_once_time_has_passed(session):
    with session.track(total=10) as progress:
        assert progress.remaining is None
        time.sleep(0.05)
        progress.step(5)
        assert 0 < progress.rate <= 5 / 0.05
        assert timedelta(0) <= progress.remaining < timedelta(seconds=30)
        row = Progress.objects.get()
        assert row.rate == pytest.approx(progress.rate)
        assert 0 <= row.seconds_left() <= 5 / row.rate
        progress.step(5)
        assert progress.remaining == timedelta(0)
        assert Progress.objects.get().seconds_left() == 0
    unknown = session.track(iter("ab"))
    unknown.step()
    assert unknown.remaining is None
    assert Progress.objects.get().seconds_left() is None


def test_the_time_left_shrinks_and_is_never_negative(session):
    SessionManager().update_session_progress(session.pk, 1, 101, "")
    row = Progress.objects.get()
    assert row.seconds_left() is None
    row.rate, row.updated_at = 10.0, timezone.now() - timedelta(seconds=4)
    assert row.seconds_left() == pytest.approx(6, abs=1)
    row.updated_at -= timedelta(hours=1)
    assert row.seconds_left() == 0
    row.updated_at = timezone.now() + timedelta(hours=1)
    assert row.seconds_left() == 10


def test_no_rate_is_too_low_for_a_time_left():
    assert timedelta(seconds=seconds_left(0, LIMIT, 1e-300, 0)) <= timedelta.max
    assert seconds_left(0, 5, 0.0, 0) is None


def test_the_rate_is_that_of_the_last_seconds():
    pace = Pace(0.0)
    assert pace.measured(0.0, 0) is None
    for second in range(1, 101):  # one step a second, then a hundred
        assert pace.measured(second, second) == pytest.approx(1)
    for second in range(101, 131):
        rate = pace.measured(second, 100 + 100 * (second - 100))
    assert rate == pytest.approx(100)


def test_the_rate_of_slow_steps_is_that_of_ten():
    pace = Pace(0.0)
    for step in range(1, 11):
        assert pace.measured(60.0 * step, step) == pytest.approx(1 / 60)
    for step in range(1, 10):
        rate = pace.measured(600 + step, 10 + step)
    assert 1 / 60 < rate < 1 / 30
