"""The engines that need no worker: Django's own backends, and Celery when it is eager."""

from datetime import timedelta

import django
import pytest
from django.db.models.functions import Now
from django.utils import timezone

from session_mgmt import JobStatus
from session_mgmt.jobs import rescue_jobs
from session_mgmt.jobs.engines import get_engine
from session_mgmt.jobs.tasks import task_backends
from session_mgmt.models import Job
from tests.engines import setups
from tests.engines.jobs import make

pytestmark = pytest.mark.django_db(transaction=True)

BACKENDS = f"{'django.tasks' if django.VERSION >= (6, 0) else 'django_tasks'}.backends"


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


@pytest.fixture(params=["immediate", "eager"])
def at_once(request, use):
    if request.param == "immediate":
        backend = {"BACKEND": f"{BACKENDS}.immediate.ImmediateBackend"}
        setup = setups.Setup("immediate", {"TASKS": {"default": backend}}, ())
    else:
        setup = setups.celery("eager", "memory://localhost")
        setup.settings["CELERY_TASK_ALWAYS_EAGER"] = True
    with use(setup):
        yield


@pytest.mark.usefixtures("at_once")
def test_a_job_is_done_when_the_transaction_has_committed(notes):
    job = make("engines_note", parameters={"file": str(notes)})
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)


@pytest.mark.usefixtures("at_once")
def test_what_cannot_wait_leaves_the_second_attempt_to_a_rescue():
    job = make("engines_fail_once")
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.PENDING, 1)
    assert rescue_jobs().redispatched == 0, "it is not due yet"
    Job.objects.update(run_after=Now() - timedelta(seconds=1))
    assert rescue_jobs().redispatched == 1
    job.refresh_from_db()
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)


def test_the_dummy_keeps_what_it_is_told(use):
    backend = {"BACKEND": f"{BACKENDS}.dummy.DummyBackend"}
    with use(setups.Setup("dummy", {"TASKS": {"default": backend}}, ())):
        job = make("engines_fail_once", parameters={"canary": "canary"})
        late = timezone.now() + timedelta(hours=1)
        assert get_engine().deliver(job.pk, "default", priority=7, run_after=late) is True
        results = task_backends["default"].results
    assert [result.args for result in results] == [[job.pk, "default"]] * 2
    assert [(result.task.priority, result.task.run_after) for result in results][1] == (7, late)
    job.refresh_from_db()
    assert (job.status, job.dispatched_at is not None) == (JobStatus.PENDING, True)


def test_a_moment_for_rq_is_never_too_early(use, monkeypatch):
    told = []
    backend_class = type(task_backends["default"])
    monkeypatch.setattr(backend_class, "enqueue", lambda self, task, *_: told.append(task))
    monkeypatch.setattr(backend_class, "__module__", "django_tasks_rq.backend")
    late = timezone.now().replace(microsecond=1) + timedelta(hours=1)
    for moment in (late, late.replace(microsecond=0)):
        assert get_engine().deliver(1, "default", priority=0, run_after=moment)
    full = late.replace(microsecond=0)
    assert [task.run_after for task in told] == [full + timedelta(seconds=1), full]
