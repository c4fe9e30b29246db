"""What an attempt has stored the next one finds, and does not do again."""

import pytest

from session_mgmt import InvalidInputError, JobStatus, LeaseLostError, ScenePrompt
from session_mgmt.jobs import rescue_jobs, run_job
from session_mgmt.models import Job, JobStep, SessionEvent
from session_mgmt.sessions import session_manager
from tests.jobs.making import let_lease_run_out, make, make_due, make_session, status_of

pytestmark = pytest.mark.django_db(transaction=True)


def fail_first(job):
    if job.job.attempt == 1:
        raise RuntimeError


def test_a_step_that_was_stored_is_not_done_again(register):
    calls, seen = [], []

    def measure(name, *, factor=1):
        calls.append(name)
        return {"length": (len(name) * factor, None)}

    def work(job):
        seen.append([job.step("a", measure, "a"), job.step("b", measure, "bb", factor=2)])
        fail_first(job)
        return job.step("c", measure, "ccc")

    register("work", work)
    job = make("work")
    run_job(job.pk)
    make_due()
    run_job(job.pk)
    assert calls == ["a", "bb", "ccc"]
    assert seen == [[{"length": [1, None]}, {"length": [4, None]}]] * 2, "JSON both times"
    job.refresh_from_db()
    assert (job.status, job.result) == (JobStatus.COMPLETED, {"length": [3, None]})


def test_changing_what_a_step_gave_does_not_change_what_is_stored(register):
    def work(job):
        job.step("a", lambda: [1]).append(2)
        return job.step("a", lambda: 1 / 0)

    register("work", work)
    run_job(make("work").pk)
    assert Job.objects.get().result == [1]


@pytest.mark.parametrize("result", [None, 0, False, "", [], 1.5, "日本"])
def test_any_json_value_can_be_a_step_and_empty_ones_count(register, result):
    calls = []

    def work(job):
        value = job.step("a", lambda: calls.append(1) or result)
        fail_first(job)
        return value

    register("work", work)
    job = make("work")
    run_job(job.pk)
    make_due()
    run_job(job.pk)
    job.refresh_from_db()
    assert (calls, job.status, job.result) == ([1], JobStatus.COMPLETED, result)


@pytest.mark.parametrize("name", ["", None, 5, "x" * 201, "a\x00", "\ud800"])
def test_a_name_that_cannot_be_stored_is_refused_before_the_step_is_done(register, name):
    calls, caught = [], []

    def work(job):
        with pytest.raises(InvalidInputError) as refusal:
            job.step(name, lambda: calls.append(1))
        caught.append(refusal.value.field)

    register("work", work)
    run_job(make("work").pk)
    assert (calls, caught) == ([], ["name"])


def test_a_step_that_is_not_json_fails_the_attempt_and_is_not_stored(register):
    register("work", lambda job: job.step("odd", object), max_retries=0)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert job.status is JobStatus.FAILED
    assert "result of step 'odd': cannot be written as JSON" in job.error_message
    assert not job.steps.exists()


def test_steps_belong_to_their_job(register):
    register("work", lambda job: job.step("a", lambda: job.job.target_id))
    jobs = [make("work", target=target) for target in "xy"]
    assert [run_job(job.pk) for job in jobs] == [True, True]
    assert list(JobStep.objects.order_by("job").values_list("result", flat=True)) == ["x", "y"]


def test_a_zombie_stores_no_step_and_commits_none_of_its_own_rows(register):
    tried = []

    def work(job):
        if job.job.attempt > 1:
            return job.step("a", lambda: "second")
        let_lease_run_out()
        rescue_jobs()
        make_due()
        run_job(job.job.pk)
        with pytest.raises(LeaseLostError):
            job.step("a", lambda: "first")
        with pytest.raises(LeaseLostError), job.atomic():
            tried.append("inside")
        return "first"

    register("work", work)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.result, job.attempt, tried) == ("second", 2, [])
    assert [step.result for step in job.steps.all()] == ["second"]


def test_rows_of_ones_own_commit_with_the_step_that_tells_of_them(register):
    def work(job):
        with job.atomic():
            scenes = session_manager.start  # any write of the project's own will do
            job.step("charged", lambda: scenes(job.session.request_data).session_id)
            fail_first(job)

    register("work", work)
    session = make_session()
    job = make("work", session=session)
    before = type(session).objects.count()
    run_job(job.pk)
    assert type(session).objects.count() == before, "rolled back, and the step with it"
    assert not job.steps.exists()
    make_due()
    run_job(job.pk)
    assert type(session).objects.count() == before + 1
    assert job.steps.count() == 1


@pytest.mark.parametrize("again", ["in a transaction", "alone"])
def test_a_step_that_was_rolled_back_is_done_again_in_the_same_attempt(register, again):
    calls = []

    def charge(job):
        with job.atomic():
            job.step("charge", lambda: calls.append(1))
            if len(calls) == 1:
                raise KeyError

    def work(job):
        with pytest.raises(KeyError):
            charge(job)
        if job.parameters["again"] == "in a transaction":
            charge(job)
        else:
            job.step("charge", lambda: calls.append(1))

    register("work", work)
    job = make("work", {"again": again})
    run_job(job.pk)
    assert (len(calls), job.steps.count()) == (2, 1)


def test_a_scene_whose_commit_was_not_answered_is_saved_once(register, monkeypatch):
    """The COMMIT happens, its answer is lost, the write is repeated."""
    from session_mgmt.db import unit_of_work
    from session_mgmt.exceptions import CommitOutcomeUnknownError

    real = unit_of_work._Unit.attempt
    lost = []

    def attempt(unit):
        result = real(unit)
        if unit._fn.func.__qualname__.startswith("Fence.write") and len(lost) < 3:
            lost.append(1)
            raise CommitOutcomeUnknownError
        return result

    def work(job):
        with monkeypatch.context() as patch:
            patch.setattr(unit_of_work._Unit, "attempt", attempt)
            job.save_scene(ScenePrompt(scene_number=1, title="a"))
            job.step("a", lambda: 5)

    register("work", work)
    session = make_session()
    job = make("work", session=session)
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED
    assert len(lost) == 3
    assert SessionEvent.objects.filter(session=session, kind="scene_added").count() == 1
    assert job.steps.get().result == 5


def test_tracked_items_move_the_progress_of_job_and_session(register, settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0}
    seen = []

    def work(job):
        for item in job.track(["a", "b"], description="letters"):
            row = Job.objects.get()
            seen.append((item, row.progress, row.current_step))
        for _ in job.track(iter("xyz")):
            pass

    register("work", work)
    session = make_session()
    run_job(make("work", session=session).pk)
    assert seen == [("a", 0.0, "letters"), ("b", 0.5, "letters")]
    progress = session_manager.get_session(session.pk).progress
    assert (progress.current_step, progress.total_steps) == (3, 0)


def test_tracking_writes_once_an_interval(register, settings, django_assert_max_num_queries):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 3600}

    def work(job):
        with django_assert_max_num_queries(8):
            assert sum(job.track(range(10_000))) == 49_995_000

    register("work", work)
    run_job(make("work").pk)
    assert Job.objects.get().status is JobStatus.COMPLETED


def test_a_checkpoint_takes_few_statements(register, django_assert_num_queries):
    def work(job):
        job.progress(0, 2)  # the first one of a session takes more
        with django_assert_num_queries(5):  # a look, BEGIN, the fence, the row, COMMIT
            job.step("a", dict)
        with django_assert_num_queries(4):
            job.progress(1, 2)

    register("work", work)
    run_job(make("work", session=make_session()).pk)
    assert Job.objects.get().error_message == ""
