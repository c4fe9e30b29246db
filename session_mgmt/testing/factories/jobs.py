"""Jobs, each with a session that stands where the job does, and their steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from session_mgmt.conf import get_settings
from session_mgmt.models import Job, JobStep
from session_mgmt.states import ACTIVE_JOB_STATUSES, GenerationStatus, JobStatus
from session_mgmt.testing.factories.base import NumberedFactory, ended, moment
from session_mgmt.testing.factories.sessions import GenerationSessionFactory

__all__ = ["JobFactory", "JobStepFactory"]

_BEGUN: Final = frozenset({JobStatus.RUNNING, JobStatus.COMPLETED, JobStatus.FAILED})
_HOW_FAR: Final = {JobStatus.RUNNING: 0.5, JobStatus.FAILED: 0.5, JobStatus.COMPLETED: 1.0}


class JobFactory(NumberedFactory[Job]):
    """A pending job that no engine was told of, with a session that stands where the job does.

    Traits `running`, `abandoned` (its lease ran out), `completed`, `failed` (its last attempt) and
    `cancelled`. `session=None` makes a job of its own.
    """

    _number = "run_number"
    _like = ("job_type", "target_id")

    class Meta:
        model = Job

    class Params:
        age = timedelta(0)
        running = factory.Trait(status=JobStatus.RUNNING)
        abandoned = factory.Trait(
            status=JobStatus.RUNNING,
            lease_expires_at=factory.LazyFunction(lambda: timezone.now() - get_settings().LEASE),
        )
        completed = factory.Trait(status=JobStatus.COMPLETED)
        failed = factory.Trait(status=JobStatus.FAILED)
        cancelled = factory.Trait(status=JobStatus.CANCELLED)

    session = factory.SubFactory(
        GenerationSessionFactory,
        status=factory.LazyAttribute(
            lambda row: (
                GenerationStatus.PROCESSING
                if row.factory_parent.status == JobStatus.RUNNING
                else GenerationStatus(row.factory_parent.status)
            )
        ),
        created_at=factory.SelfAttribute("..created_at"),
    )
    job_type = "generate_scenes"
    target_id = factory.Sequence(lambda n: f"story-{n + 1}")
    parameters = factory.LazyFunction(lambda: {"style": "watercolor"})
    status = JobStatus.PENDING
    max_retries = 3
    attempt = factory.LazyAttribute(
        lambda row: (
            (row.max_retries or 0) + 1
            if row.status == JobStatus.FAILED
            else int(row.status in _BEGUN)
        )
    )
    progress = factory.LazyAttribute(lambda row: _HOW_FAR.get(row.status, 0.0))
    created_at = moment()
    started_at = factory.LazyAttribute(lambda row: row.created_at if row.status in _BEGUN else None)
    dispatched_at = factory.SelfAttribute("started_at")
    lease_expires_at = factory.LazyAttribute(
        lambda row: (
            timezone.now() + get_settings().LEASE if row.status == JobStatus.RUNNING else None
        )
    )
    finished_at = factory.LazyAttribute(
        lambda row: ended(row.created_at) if row.status not in ACTIVE_JOB_STATUSES else None
    )
    result = factory.LazyAttribute(
        lambda row: {"scenes": 3} if row.status == JobStatus.COMPLETED else None
    )
    error_message = factory.LazyAttribute(
        lambda row: (
            "TimeoutError: the model gave no answer" if row.status == JobStatus.FAILED else ""
        )
    )


class JobStepFactory(DjangoModelFactory[JobStep]):
    """A step that a running job has done."""

    class Meta:
        model = JobStep

    class Params:
        age = timedelta(0)

    job = factory.SubFactory(
        JobFactory, running=True, created_at=factory.SelfAttribute("..created_at")
    )
    name = factory.Sequence(lambda n: f"page-{n + 1}")
    result = factory.LazyFunction(lambda: {"picture": "page.png"})
    created_at = moment()
