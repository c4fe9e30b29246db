"""A handler is tested against kills, zombies, cancellations, lost connections, at every write."""

import time
from contextlib import suppress

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from session_mgmt import GenerationRequest, InvalidInputError, JobStatus, ScenePrompt
from session_mgmt.jobs import GiveUp, job_handler, run_job
from session_mgmt.jobs import handlers as registry
from session_mgmt.models import Job, JobStep
from session_mgmt.sessions import session_manager
from session_mgmt.testing import Disturbance, check_handler, run_disturbed, run_jobs_inline

pytestmark = pytest.mark.django_db(transaction=True)

COUNTED = 4  # writes of `good`


@pytest.fixture(autouse=True)
def register(monkeypatch):
    monkeypatch.setattr(registry, "_handlers", dict(registry._handlers))
    return lambda name, function, **options: job_handler(name, **options)(function)


class Elsewhere:
    """What handlers do outside of the database, and a maker of jobs that begins anew."""

    def __init__(self):
        self.done = []

    def make(self, **options):
        self.done.clear()
        session = session_manager.start(GenerationRequest(story_text="x", num_scenes=2))
        options = {"job_type": "tried", "target_id": "target", "session": session} | options
        return Job.objects.create_if_not_exists(**options)[0]

    def pay(self):
        """Know the payment again, as a shop does by its key."""
        if "paid" not in self.done:
            self.done.append("paid")
        return "receipt"

    def effects(self, job):
        return self.done


@pytest.fixture
def elsewhere():
    return Elsewhere()


def scene(number):
    return ScenePrompt(scene_number=number, title=f"Scene {number}")


@pytest.fixture
def good(register, elsewhere):
    """Register a handler that bears everything."""

    def tried(ctx):
        paid = ctx.step("pay", elsewhere.pay)
        for number in (1, 2):
            if number not in ctx.saved_scenes:
                ctx.save_scene(scene(number))
        with ctx.atomic():
            Group.objects.get_or_create(name=str(ctx.session.pk))
            ctx.progress(2, 2)
        return {"paid": paid, "session": str(ctx.session.pk)}

    register("tried", tried)


def groups(job):
    return Group.objects.filter(name=job.session_id).values_list("permissions")


def test_a_good_handler_passes(good, elsewhere):
    check_handler(elsewhere.make, effects=elsewhere.effects)
    check_handler(elsewhere.make, effects=groups)
    check_handler(elsewhere.make)


def test_a_job_without_a_session_and_without_a_write_passes(register, elsewhere):
    register("tried", lambda ctx: "nothing")
    check_handler(lambda: elsewhere.make(session=None))


def test_a_job_that_fails_whatever_happens_passes(register, elsewhere):
    def tried(ctx):
        ctx.progress(1, 2)
        raise GiveUp("of no use")

    register("tried", tried)
    check_handler(elsewhere.make)


def test_each_disturbance_comes_at_each_write(good, elsewhere):
    """Otherwise a good handler would pass because nothing happened to it."""
    for disturbance in Disturbance:
        for at in range(1, COUNTED + 1):
            job = elsewhere.make()
            run_disturbed(job, disturbance, at)
            (end,) = run_jobs_inline() or [Job.objects.get(pk=job.pk)]
            cancelled = disturbance is Disturbance.CANCELLED
            assert end.status is (JobStatus.CANCELLED if cancelled else JobStatus.COMPLETED)


def caught(elsewhere, **options):
    with pytest.raises(AssertionError) as caught:
        check_handler(elsewhere.make, effects=elsewhere.effects, **options)
    return str(caught.value)


def test_an_effect_outside_of_a_step_is_seen_twice(register, elsewhere):
    def tried(ctx):
        elsewhere.done.append("mail")
        ctx.progress(1, 2)

    register("tried", tried)
    assert caught(elsewhere) == (
        "tried, killed after write 1 of 1:\n  effects: ['mail'] became ['mail', 'mail']"
    )


def test_an_effect_after_the_last_write_is_seen_twice(register, elsewhere):
    def tried(ctx):
        ctx.progress(1, 2)
        elsewhere.done.append("mail")

    register("tried", tried)
    assert caught(elsewhere).startswith("tried, killed after its last line:\n  effects: ['mail']")


def test_an_effect_that_a_write_declares_done_too_early_is_missed(register, elsewhere):
    def tried(ctx):
        if 1 not in ctx.saved_scenes:
            ctx.save_scene(scene(1))
            elsewhere.done.append("uploaded")

    register("tried", tried)
    assert "killed after write 1 of 1:\n  effects: ['uploaded'] became []" in caught(elsewhere)


def test_scenes_that_are_drawn_again_differently_are_seen(register, elsewhere):
    def tried(ctx):
        for number in (1, 2):
            ctx.save_scene(ScenePrompt(scene_number=number, title=f"by {ctx.job.attempt}"))

    register("tried", tried)
    assert "killed after write 1 of 2:\n  scenes: [{" in caught(elsewhere)


def test_scenes_that_are_drawn_again_at_a_price_are_seen(register, elsewhere):
    def tried(ctx):
        for number in (1, 2):
            elsewhere.done.append(f"drawn {number}")
            ctx.save_scene(scene(number))

    register("tried", tried)
    message = caught(elsewhere)
    assert "['drawn 1', 'drawn 2'] became ['drawn 1', 'drawn 1', 'drawn 2']" in message


def test_an_effect_in_a_step_is_seen_twice_only_where_two_attempts_are_at_work(register, elsewhere):
    def tried(ctx):
        ctx.step("mail", lambda: elsewhere.done.append("mail"))

    register("tried", tried)
    assert caught(elsewhere).startswith("tried, taken over before write 1 of 1:\n  effects: ")
    check_handler(elsewhere.make, effects=lambda job: set(elsewhere.done))


def test_a_step_whose_name_changes_is_seen(register, elsewhere):
    def tried(ctx):
        ctx.step(f"pay in attempt {ctx.job.attempt}", lambda: elsewhere.done.append("paid"))

    register("tried", tried)
    assert "steps: {'pay in attempt 1': None} became" in caught(elsewhere)


def test_a_step_that_depends_on_the_time_cannot_be_compared(register, elsewhere):
    register("tried", lambda ctx: ctx.step("now", time.time))
    message = caught(elsewhere)
    assert message.startswith("tried, run once more undisturbed:\n  result: ")
    assert "such as a time, cannot be compared" in message


def test_jobs_that_are_created_twice_are_seen(register, elsewhere):
    def tried(ctx):
        Job.objects.create_if_not_exists("part", str(time.monotonic_ns()))
        ctx.progress(1, 2)

    register("tried", tried)
    register("part", lambda ctx: None)
    expected = "jobs it created: {'part completed': 1} became {'part completed': 2}"
    assert expected in caught(elsewhere)


def test_a_handler_that_may_not_be_tried_again_does_not_bear_a_kill(register, elsewhere):
    register("tried", lambda ctx: ctx.progress(1, 2), max_retries=0)
    message = caught(elsewhere)
    assert "killed after write 1 of 1" in message
    assert "The job's last error: Attempt 1 ended without a word" in message


@pytest.mark.parametrize(
    ("swallows", "name", "word"),
    [
        (Disturbance.TAKEN_OVER, "LeaseLostError", "taken over before"),
        (Disturbance.CANCELLED, "JobCancelledError", "cancelled before"),
        (Disturbance.WORKER_STOPS, "WorkerStoppingError", "told to stop at"),
    ],
)
def test_a_handler_that_swallows_what_stops_it_is_seen(register, elsewhere, swallows, name, word):
    def tried(ctx):
        for step in (1, 2, 3):
            try:
                ctx.progress(step, 3)
            except Exception as error:
                if type(error).__name__ != name:
                    raise

    register("tried", tried)
    problem = f"The handler went on after {name}; it must let that error pass."
    assert caught(elsewhere) == f"tried, {word} write 1 of 3:\n  {problem}"
    with pytest.raises(AssertionError, match=f"tried, {word} write 2: The handler went on after"):
        run_disturbed(elsewhere.make(), swallows, at=2)


def test_a_handler_that_tidies_up_and_passes_the_error_on_is_right(register, elsewhere):
    def tried(ctx):
        try:
            ctx.progress(1, 2)
            ctx.progress(2, 2)
        finally:
            ctx.progress(0, 2)

    register("tried", tried)
    check_handler(elsewhere.make)


def test_a_handler_that_looks_at_cancelled_is_right(register, elsewhere):
    def tried(ctx):
        for step in (1, 2):
            if ctx.cancelled:
                return
            ctx.progress(step, 2)

    register("tried", tried)
    check_handler(elsewhere.make)


def test_after_a_kill_the_next_attempt_goes_on(good, elsewhere):
    job = run_disturbed(elsewhere.make(), Disturbance.KILLED, at=2)
    assert (job.status, job.attempt, job.run_after) == (JobStatus.PENDING, 1, None)
    assert job.error_message == "Attempt 1 ended without a word"
    assert [one.scene_number for one in job.session.scenes] == [1]
    assert JobStep.objects.get(job=job).result == "receipt"
    assert run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.given_back) == (JobStatus.COMPLETED, 2, 0)
    assert elsewhere.done == ["paid"]


def test_a_killed_attempt_writes_nothing_more_whatever_it_catches(register, elsewhere):
    def tried(ctx):
        with suppress(BaseException):
            ctx.progress(1, 3, "before")
        try:
            ctx.progress(2, 3, "after")
        finally:
            ctx.progress(3, 3, "after")

    register("tried", tried)
    job = run_disturbed(elsewhere.make(), Disturbance.KILLED)
    assert (job.status, job.current_step) == (JobStatus.PENDING, "before")


def test_the_end_of_an_attempt_counts_as_a_write(good, elsewhere):
    job = run_disturbed(elsewhere.make(), Disturbance.KILLED, at=COUNTED + 1)
    assert (job.status, job.attempt) == (JobStatus.PENDING, 1)
    job = run_disturbed(elsewhere.make(target_id="b"), Disturbance.TAKEN_OVER, at=COUNTED + 1)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)


def test_a_worker_that_stops_spends_no_attempt(good, elsewhere):
    job = run_disturbed(elsewhere.make(), Disturbance.WORKER_STOPS, at=3)
    assert (job.status, job.attempt, job.given_back) == (JobStatus.PENDING, 1, 1)
    assert len(job.session.scenes) == 2


@pytest.mark.parametrize("lost", [Disturbance.CONNECTION_LOST, Disturbance.COMMIT_LOST])
def test_a_lost_connection_costs_no_attempt(good, elsewhere, lost, caplog):
    for at in (1, 2, 3):
        caplog.clear()
        job = run_disturbed(elsewhere.make(), lost, at)
        assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
        assert "Retrying" in caplog.text or "trying again" in caplog.text
    in_a_transaction_of_its_own = run_disturbed(elsewhere.make(), lost, at=4)
    assert in_a_transaction_of_its_own.status is JobStatus.PENDING


def test_a_disturbance_that_does_not_come_is_an_error(good, elsewhere):
    with pytest.raises(AssertionError, match="killed after write 9: the attempt ended after 4"):
        run_disturbed(elsewhere.make(), Disturbance.KILLED, at=9)


def test_the_handler_is_as_before(good, elsewhere):
    before = registry.registered()["tried"]
    run_disturbed(elsewhere.make(), Disturbance.KILLED)
    assert registry.registered()["tried"] == before


def test_a_job_that_cannot_be_run_is_refused(good, elsewhere):
    job = elsewhere.make()
    run_jobs_inline()
    for wrong, problem in [
        (job, "must be one that waits; tried target #1 is completed"),
        (elsewhere.make(job_type="unheard"), "has no handler here: 'unheard'"),
        (Job(), "must be a saved job"),
        ((job, True), "must be a saved job"),
    ]:
        with pytest.raises(InvalidInputError, match=problem):
            run_disturbed(wrong, Disturbance.KILLED)
        with pytest.raises(InvalidInputError, match=problem):
            check_handler(lambda wrong=wrong: wrong)


def test_a_job_that_is_made_once_is_refused(good, elsewhere):
    once = elsewhere.make()

    def make_pending():
        Job.objects.update(status=JobStatus.PENDING)
        return once

    with pytest.raises(InvalidInputError, match="must make a new job each time, not tried target"):
        check_handler(make_pending)


def test_a_test_that_is_a_transaction_is_refused(good, elsewhere):
    with transaction.atomic(), pytest.raises(transaction.TransactionManagementError, match="test"):
        run_disturbed(elsewhere.make(), Disturbance.KILLED)
