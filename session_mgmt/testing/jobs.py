"""Run the jobs that wait, in a test and without a worker.

Models are imported where they are used, because pytest loads the plugin beside this file before
Django is set up.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING

from session_mgmt.conf import SETTING, get_settings
from session_mgmt.exceptions import InvalidInputError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from session_mgmt.models import Job
    from session_mgmt.models.job_queries import JobQuerySet

__all__ = ["NoEngine", "changed_settings", "run_jobs_inline"]


class NoEngine:
    """An engine that tells nobody: `JOB_ENGINE = "session_mgmt.testing.NoEngine"`.

    For the settings of tests whose jobs commit, where there is no broker, or one that would run
    them at once.
    """

    def deliver(
        self, job_id: int, using: str, *, priority: int, run_after: datetime | None
    ) -> bool:
        """Do nothing; the job waits as if its message was lost."""
        return False


@contextmanager
def changed_settings(**values: object) -> Iterator[None]:
    """Change single keys of the setting while the block runs, and tell no engine of jobs."""
    from django.test.utils import override_settings

    given = dataclasses.asdict(get_settings())
    engine = {"JOB_ENGINE": f"{__name__}.{NoEngine.__name__}"}
    with override_settings(**{SETTING: given | engine | values}):
        yield


def run_jobs_inline(using: str = "default", *, limit: int = 1000) -> list[Job]:
    """Run the jobs that wait, those they create and the retries of those that fail; until none is.

    It is what workers would do, in this thread: those that are due come first, of them those with
    the larger priority, and then the older ones. What is not due yet follows in the order of its
    times, without the wait. Jobs whose handlers this process does not know stay as they are. A
    handler that raises does not raise here: its job is tried again, and fails in the end.

    It works in a `TestCase` too, where nothing commits. No engine is told of what happens
    meanwhile.

    Args:
        using: database alias.
        limit: how many attempts to make at most.

    Returns:
        The jobs that were run, each once and as it is now, in the order of their first attempts.

    Raises:
        AssertionError: after so many attempts there still are jobs that wait.
        InvalidInputError: the limit is not a number above 0.
    """
    from session_mgmt.models import Job
    from session_mgmt.testing.accidents import run_at_once

    _check_limit(limit)
    jobs = Job.objects.using(using)
    ran: dict[int, None] = {}
    with changed_settings():
        for _ in range(limit):
            pk = _next(jobs)
            if pk is None:
                break
            if run_at_once(pk, using):
                ran.setdefault(pk)
        else:
            _require_none_waits(jobs, limit)
    found = jobs.in_bulk(ran)
    return [found[pk] for pk in ran if pk in found]


def _check_limit(limit: object) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidInputError("limit", f"must be a whole number above 0, not {shown(limit)}")


def _waiting(jobs: JobQuerySet) -> JobQuerySet:
    from session_mgmt.jobs.handlers import registered
    from session_mgmt.states import JobStatus

    return jobs.filter(status=JobStatus.PENDING, job_type__in=list(registered()))


def _next(jobs: JobQuerySet) -> int | None:
    from django.db.models import Case, F, When
    from django.db.models.functions import Now

    not_before = Case(When(run_after__gt=Now(), then=F("run_after")))
    order = (not_before.asc(nulls_first=True), "-priority", "pk")
    return _waiting(jobs).order_by(*order).values_list("pk", flat=True).first()


def _require_none_waits(jobs: JobQuerySet, limit: int) -> None:
    left = _waiting(jobs)
    if left.exists():
        types = sorted(set(left.values_list("job_type", flat=True)))
        raise AssertionError(
            f"{limit} attempts were made, and {left.count()} jobs still wait, of type "
            f"{', '.join(types)}; if they do not create one another without end, raise the limit"
        )
