"""Jobs run in a test without a worker: those that wait, those they create, and the retries."""

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import TestCase
from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus, InvalidInputError, JobStatus
from session_mgmt.jobs import GiveUp, job_handler
from session_mgmt.jobs import handlers as registry
from session_mgmt.models import Job
from session_mgmt.sessions import session_manager
from session_mgmt.testing import run_jobs_inline


class RefusingEngine:
    def deliver(self, job_id, using, *, priority, run_after):
        raise ImproperlyConfigured("there is no broker here")


class EagerEngine:
    """Runs jobs at once, as Celery does with `task_always_eager`."""

    def deliver(self, job_id, using, *, priority, run_after):
        from session_mgmt.jobs import run_job

        run_job(job_id, using)
        return True


@pytest.fixture(autouse=True)
def register(monkeypatch):
    monkeypatch.setattr(registry, "_handlers", dict(registry._handlers))
    return lambda name, function, **options: job_handler(name, **options)(function)


def make(job_type, target="target", **options):
    return Job.objects.create_if_not_exists(job_type, target, **options)[0]


@pytest.fixture(
    params=[
        pytest.param("in a transaction", marks=pytest.mark.django_db),
        pytest.param("committing", marks=pytest.mark.django_db(transaction=True)),
    ]
)
def in_both(request):
    assert connection.in_atomic_block is (request.param == "in a transaction")


@pytest.mark.usefixtures("in_both")
class TestBoth:
    def test_there_may_be_nothing_to_do(self):
        assert run_jobs_inline() == []

    def test_a_job_is_run_and_returned_as_it_is_then(self, register):
        register("double", lambda ctx: 2 * ctx.parameters["n"])
        made = make("double", parameters={"n": 21})
        (job,) = run_jobs_inline()
        assert job == made
        assert (job.status, job.result, job.attempt) == (JobStatus.COMPLETED, 42, 1)
        assert run_jobs_inline() == []

    def test_the_session_follows(self, register):
        register("draw", lambda ctx: ctx.progress(3, 3))
        session = session_manager.start(GenerationRequest(story_text="x"))
        make("draw", session=session)
        run_jobs_inline()
        session.refresh_from_db()
        assert session.status is GenerationStatus.COMPLETED

    def test_jobs_that_a_job_creates_are_run_too(self, register):
        def split(ctx):
            for part in ctx.parameters["parts"]:
                make("part", part)

        register("split", split)
        register("part", lambda ctx: ctx.job.target_id)
        make("split", parameters={"parts": ["a", "b"]})
        assert [job.result for job in run_jobs_inline()] == [None, "a", "b"]

    def test_a_job_that_fails_is_tried_again_without_a_wait(self, register):
        def fail_twice(ctx):
            if ctx.job.attempt < 3:
                raise ValueError("not yet")
            return ctx.job.attempt

        register("third_time", fail_twice)
        make("third_time")
        assert [job.result for job in run_jobs_inline()] == [3]

    def test_a_job_that_fails_for_good_is_returned_as_failed(self, register):
        def fail(ctx):
            raise ValueError("no luck")

        def give_up(ctx):
            raise GiveUp("of no use")

        register("fail", fail, max_retries=2)
        register("give_up", give_up)
        make("fail")
        make("give_up")
        ends = [(job.status, job.attempt, job.error_message) for job in run_jobs_inline()]
        assert ends == [
            (JobStatus.FAILED, 3, "ValueError: no luck"),
            (JobStatus.FAILED, 1, "of no use"),
        ]

    def test_what_is_due_comes_first_then_the_larger_priority_then_what_is_due_next(self, register):
        register("note", lambda ctx: None)
        later, soon = (timezone.now() + timedelta(hours=hours) for hours in (9, 1))
        make("note", "later", run_after=later, priority=50)
        make("note", "soon", run_after=soon)
        make("note", "low", priority=-5)
        make("note", "first")
        make("note", "second", run_after=timezone.now() - timedelta(hours=1))
        make("note", "high", priority=5)
        order = [job.target_id for job in run_jobs_inline()]
        assert order == ["high", "first", "second", "low", "soon", "later"]

    def test_other_jobs_are_left_alone(self, register):
        register("note", lambda ctx: None)
        unknown = make("of_another_process")
        running = make("note", "running")
        Job.objects.filter(pk=running.pk).update(status=JobStatus.RUNNING, attempt=1)
        assert run_jobs_inline() == []
        unknown.refresh_from_db()
        assert unknown.status is JobStatus.PENDING

    def test_jobs_without_end_are_stopped(self, register):
        register("again", lambda ctx: make("again", str(ctx.job.pk)) and None)
        make("again")
        with pytest.raises(
            AssertionError, match=r"^7 attempts .* 1 jobs still wait, of type again"
        ):
            run_jobs_inline(limit=7)

    def test_the_limit_may_be_what_is_needed(self, register):
        register("note", lambda ctx: None)
        for target in "abc":
            make("note", target)
        assert len(run_jobs_inline(limit=3)) == 3

    @pytest.mark.parametrize("limit", [0, -1, True, "5", None])
    def test_a_wrong_limit_is_named(self, limit):
        with pytest.raises(InvalidInputError, match="limit"):
            run_jobs_inline(limit=limit)

    def test_no_engine_is_needed_nor_told(self, register, settings, caplog):
        register("note", lambda ctx: None)
        register("two", lambda ctx: make("note") and None)
        make("two")
        for engine in (RefusingEngine, EagerEngine):
            settings.SESSION_MGMT = {"JOB_ENGINE": f"{__name__}.{engine.__name__}"}
            kinds = [job.job_type for job in run_jobs_inline()]
            assert kinds == ["two", "note"]
            settings.SESSION_MGMT = {"JOB_ENGINE": "session_mgmt.testing.NoEngine"}
            make("two")
        assert "no broker" not in caplog.text


class InTestCase(TestCase):
    def test_a_job_that_fails_leaves_the_tests_connection_alone(self):
        job_handler("for_unittest", max_retries=1)(for_unittest)
        make("for_unittest")
        assert [job.status for job in run_jobs_inline()] == [JobStatus.FAILED]
        assert connection.in_atomic_block


def for_unittest(ctx):
    ctx.progress(1, 2)
    raise ValueError("no luck")
