"""The queries of jobs under the names of seed 002, on a session that the caller opened."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from django.db.models import Count

from session_mgmt.db.retry import db_retry
from session_mgmt.db.session import DbSession, get_db_session
from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.models import Job
from session_mgmt.models.job_creation import create_next
from session_mgmt.models.job_request import (
    MAX_JOB_TYPE,
    MAX_TARGET_ID,
    JobRequest,
    checked_statuses,
    job_name,
)
from session_mgmt.repositories.job_arguments import checked_limit, checked_targets
from session_mgmt.repositories.job_status import checked_change, move_job
from session_mgmt.states import ACTIVE_JOB_STATUSES, JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from session_mgmt.models import GenerationSession
    from session_mgmt.models.job_queries import JobQuerySet

__all__ = ["JobRepository", "get_job_repository", "job_repository"]


class JobRepository:
    """Create, find and move jobs within a session's transaction.

    Every method carries `db_retry`, as the seed says. That repeats a method only where it is the
    outermost thing that the database is asked: inside `job_repository()` or any other transaction
    each method runs once, since what failed there can only be repeated as a whole. To have a whole
    block repeated, put it into a function and give that to `run_in_transaction`.

    Jobs that are created here are dispatched once the session has committed. From seed 002.

    Attributes:
        session: the open session; several repositories may share it.
    """

    def __init__(self, session: DbSession) -> None:
        if not isinstance(session, DbSession):
            raise InvalidInputError("session", f"must be a DbSession, not {shown(session)}")
        self.session = session

    @db_retry
    def create_job(
        self,
        job_type: str,
        target_id: str,
        parameters: dict[str, object] | str | None = None,
        session: GenerationSession | None = None,
        *,
        max_retries: int | None = None,
        priority: int = 0,
        run_after: datetime | None = None,
    ) -> Job:
        """Create the target's next run, even beside one that waits or runs.

        The arguments are those of `create_job_if_not_exists`.

        Raises:
            InvalidInputError: an argument is refused; nothing is written.
        """
        request = JobRequest(
            job_type, target_id, parameters, session, max_retries, priority, run_after
        )
        return create_next(Job, self._jobs().db, request)

    @db_retry
    def create_job_if_not_exists(
        self,
        job_type: str,
        target_id: str,
        parameters: dict[str, object] | str | None = None,
        check_statuses: Iterable[str] | None = ACTIVE_JOB_STATUSES,
        session: GenerationSession | None = None,
        *,
        max_retries: int | None = None,
        priority: int = 0,
        run_after: datetime | None = None,
    ) -> tuple[Job, bool]:
        """Create the target's next run unless it has one whose status is in `check_statuses`.

        See `JobQuerySet.create_if_not_exists`, which this is; the job that is returned stays
        locked until the session commits.
        """
        return self._jobs().create_if_not_exists(
            job_type,
            target_id,
            parameters,
            check_statuses,
            session,
            max_retries=max_retries,
            priority=priority,
            run_after=run_after,
        )

    @db_retry
    def create_jobs_if_not_exist(
        self,
        jobs: Iterable[JobRequest],
        check_statuses: Iterable[str] | None = ACTIVE_JOB_STATUSES,
    ) -> list[tuple[Job, bool]]:
        """Do as `create_job_if_not_exists` for each request, in one statement, in their order."""
        return self._jobs().create_many_if_not_exist(jobs, check_statuses)

    @db_retry
    def job_exists(
        self, job_type: str, target_id: str, statuses: Iterable[str] | None = None
    ) -> bool:
        """Tell whether the target has a run of this type whose status is in `statuses`.

        The answer may be out of date a moment later: to create a job, ask
        `create_job_if_not_exists` alone.

        Args:
            job_type: the name of a handler.
            target_id: what the job works on.
            statuses: None means any.
        """
        target = job_name("target_id", target_id, MAX_TARGET_ID)
        return self._of_type(job_type, statuses).filter(target_id=target).exists()

    @db_retry
    def jobs_exist_batch(
        self, job_type: str, target_ids: Iterable[str], statuses: Iterable[str] | None = None
    ) -> dict[str, bool]:
        """Do as `job_exists` for many targets in one query; a key for each target."""
        targets = checked_targets(target_ids)
        rows = self._of_type(job_type, statuses).filter(target_id__in=targets)
        there = set(rows.values_list("target_id", flat=True).distinct())
        return {target_id: target_id in there for target_id in targets}

    @db_retry
    def get_pending_jobs(self, job_type: str | None = None, limit: int = 100) -> list[Job]:
        """Return jobs that may start now: the largest priority first, then the oldest.

        They are not locked and may start meanwhile; who wants to run one calls
        `update_job_status(id, "running")` and goes on only if that is True.

        Args:
            job_type: None means any.
            limit: how many at most, 1 to 10,000.
        """
        due = self._of_any_type(job_type).due().order_by("-priority", "created_at", "pk")
        return list(due[: checked_limit(limit)])

    @db_retry
    def get_jobs_by_target(self, job_type: str | None, target_id: str) -> list[Job]:
        """Return all runs of a target, the newest first.

        Args:
            job_type: None means any, which looks at the whole table.
            target_id: what the jobs work on.
        """
        target = job_name("target_id", target_id, MAX_TARGET_ID)
        return list(self._of_any_type(job_type).filter(target_id=target).order_by("-pk"))

    @db_retry
    def update_job_status(
        self,
        job_id: int,
        status: str,
        progress: float | None = None,
        current_step: str | None = None,
        error_message: str | None = None,
    ) -> bool:
        """Move a job that no attempt of a worker runs; one guarded UPDATE (see `job_status`).

        Returns:
            Whether the job is where it was to be; False, with a warning in the log, if there is no
            such job, it has ended, or an attempt owns it.

        Args:
            job_id: the job.
            status: where it goes.
            progress: 0 to 1; a completed job has 1.
            current_step: what is being done, for a person to read.
            error_message: why it failed.

        Raises:
            InvalidInputError: an argument is refused; nothing is written.
        """
        change = checked_change(job_id, status, progress, current_step, error_message)
        return move_job(self._jobs(), change)

    @db_retry
    def count_jobs_by_status(self, job_type: str | None = None) -> dict[str, int]:
        """Count the jobs in one query; every status has its key, in the order of their life."""
        rows = self._of_any_type(job_type).order_by().values_list("status")
        counts = {str(status): count for status, count in rows.annotate(Count("status"))}
        return {status: counts.get(status, 0) for status in JobStatus.values}

    def _jobs(self) -> JobQuerySet:
        return cast("JobQuerySet", self.session.query(Job))

    def _of_any_type(self, job_type: str | None) -> JobQuerySet:
        return self._jobs() if job_type is None else self._of_type(job_type, None)

    def _of_type(self, job_type: str, statuses: Iterable[str] | None) -> JobQuerySet:
        rows = self._jobs().filter(job_type=job_name("job_type", job_type, MAX_JOB_TYPE))
        checked = checked_statuses("statuses", statuses)
        return rows if checked is None else rows.filter(status__in=checked)


@contextmanager
def job_repository(using: str | None = None) -> Iterator[JobRepository]:
    """Open a repository for `with`: commits on success, rolls back on an error, always releases.

    From seed 002.

    Args:
        using: database alias; None means the default one.
    """
    with get_db_session(using) as session:
        yield JobRepository(session)


def get_job_repository(using: str | None = None) -> JobRepository:
    """Return a repository whose session the caller must `commit()` and `close()` by hand.

    A session that nobody closes keeps its connection, and what it wrote is lost. From seed 002.

    Args:
        using: database alias; None means the default one.
    """
    warnings.warn(
        "get_job_repository() leaves it to you to commit and close its session; "
        "use `with job_repository() as repo:` instead",
        DeprecationWarning,
        stacklevel=2,
    )
    return JobRepository(get_db_session(using).open())
