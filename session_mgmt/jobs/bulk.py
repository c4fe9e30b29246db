"""Create thousands of jobs at once, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_mgmt.models import Job
from session_mgmt.models.job_request import JobRequest
from session_mgmt.states import ACTIVE_JOB_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["JobRequest", "create_jobs_if_not_exist"]


def create_jobs_if_not_exist(
    jobs: Iterable[JobRequest],
    check_statuses: Iterable[str] | None = ACTIVE_JOB_STATUSES,
    *,
    using: str | None = None,
) -> list[tuple[Job, bool]]:
    """Create the next run of each target that has none whose status is in `check_statuses`.

    All that is to be created is created by one statement, in the caller's transaction if there is
    one. Any number of such calls and of single ones at the same moment create each job once; see
    `session_mgmt.models.job_bulk_creation` for why, and why two of them do not deadlock. Inside a
    transaction of the caller the jobs stay locked until its end. The new ones are dispatched once
    they have committed.

    Args:
        jobs: what is to be created; of several for one target the first counts.
        check_statuses: statuses that count as "exists"; None means any status.
        using: database alias; None leaves it to the router.

    Returns:
        A job for each request, in their order, and whether it was created for that request.

    Raises:
        InvalidInputError: a request is refused, and named as in `jobs[17].target_id`; nothing is
            written.
        OperationalError: with SQLSTATE 40001, inside a transaction of the caller at REPEATABLE
            READ or SERIALIZABLE that lost a race; run that transaction again.

    From seed 002.
    """
    rows = Job.objects.all() if using is None else Job.objects.using(using)
    return rows.create_many_if_not_exist(jobs, check_statuses)
