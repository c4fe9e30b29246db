"""Find jobs, create them once, and hand them to one attempt at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest, Now
from django.db.models.lookups import GreaterThan

from session_mgmt.conf import get_settings
from session_mgmt.models import job_bulk_creation, job_claim, job_creation
from session_mgmt.models.base import BaseQuerySet
from session_mgmt.models.job_request import JobRequest
from session_mgmt.states import ACTIVE_JOB_STATUSES, JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from session_mgmt.models.job import Job
    from session_mgmt.models.session import GenerationSession

__all__ = ["JobQuerySet"]

_AT_ONCE: Final = 1_000


class JobQuerySet(BaseQuerySet["Job"]):
    """Find jobs, create them once, and hand them to one attempt at a time.

    Leases are measured by the database's clock alone, so that workers on machines whose clocks
    differ agree on them.
    """

    def create_if_not_exists(
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

        Any number of concurrent calls, from threads and processes, at any isolation level, create
        one job, and all of them return it (see `session_mgmt.models.job_creation` for why).
        Inside a transaction of the caller the job that is returned stays locked until its end.
        Once the new job has committed it is dispatched.

        Args:
            job_type: the name of a handler, at most 100 characters.
            target_id: what the job works on, at most 200 characters.
            parameters: a JSON object, as a dict or as text.
            check_statuses: statuses that count as "exists"; None means any status.
            session: whose work this is.
            max_retries: how many attempts may follow the first; None leaves it to the handler.
            priority: -100 to 100, larger is sooner, as far as the engine minds it.
            run_after: not to be started before, with a time zone; None means at once.

        Returns:
            The job, and whether this call created it; a warning tells if its parameters differ.

        Raises:
            InvalidInputError: an argument is refused; nothing is written.
            OperationalError: with SQLSTATE 40001, inside a transaction of the caller at REPEATABLE
                READ or SERIALIZABLE that lost a race; run that transaction again.
        """
        self._for_write = True
        values = (job_type, target_id, parameters, session, max_retries, priority, run_after)
        return job_creation.create_once(self.model, self.db, JobRequest(*values), check_statuses)

    def create_many_if_not_exist(
        self,
        requests: Iterable[JobRequest],
        check_statuses: Iterable[str] | None = ACTIVE_JOB_STATUSES,
    ) -> list[tuple[Job, bool]]:
        """Do as `create_if_not_exists` for each request, all in one statement.

        All are checked before the first write. Without a transaction of the caller the jobs are
        created together, and those that others were creating are read after that.

        Args:
            requests: what is to be created; of several for one target the first counts.
            check_statuses: statuses that count as "exists"; None means any status.

        Returns:
            A job for each request, in their order, and whether it was created for that request.

        Raises:
            InvalidInputError: a request is refused, and named as in `jobs[17].target_id`.
            OperationalError: as `create_if_not_exists`, or a deadlock (40P01) with what the
                transaction of the caller had locked before.
        """
        self._for_write = True
        return job_bulk_creation.create_many(self.model, self.db, requests, check_statuses)

    def claim(self, job_id: int, job_types: Iterable[str] | None = None) -> Job | None:
        """Give a due pending job to the caller as its next attempt, or return None; one UPDATE.

        Args:
            job_id: the job.
            job_types: those that the caller can do; None means any.
        """
        self._for_write = True
        return job_claim.claim(self.model, self.db, job_id, job_types)

    def due(self) -> Self:
        """Keep the pending jobs that may start now."""
        return self.filter(
            Q(run_after__isnull=True) | Q(run_after__lte=Now()), status=JobStatus.PENDING
        )

    def early(self) -> Self:
        """Keep the pending jobs that may not start yet."""
        return self.filter(run_after__gt=Now(), status=JobStatus.PENDING)

    def owned_by(self, job: Job) -> Self:
        """Keep the job's row only while the attempt that `job` was claimed for owns it."""
        return self.filter(pk=job.pk, attempt=job.attempt, status=JobStatus.RUNNING)

    def wanted(self) -> Self:
        """Leave out the jobs that somebody asked to stop."""
        return self.filter(cancel_requested_at__isnull=True)

    def unfinished(self) -> Self:
        """Keep the jobs that wait or run."""
        return self.filter(status__in=ACTIVE_JOB_STATUSES)

    def cancel(self) -> int:
        """Cancel what waits, and ask what runs to stop; return how many that concerns.

        The rows are locked in the order of their keys, so that two of these cannot deadlock. The
        sessions of the jobs stay as they are.
        """
        self._for_write = True
        count = 0
        with transaction.atomic(using=self.db):
            rows = self.unfinished().select_for_update().order_by("pk")
            numbers = list(rows.values_list("pk", flat=True))
            for start in range(0, len(numbers), _AT_ONCE):
                found = self.filter(pk__in=numbers[start : start + _AT_ONCE])
                count += found.filter(status=JobStatus.PENDING).update(
                    status=JobStatus.CANCELLED, finished_at=Now(), updated_at=Now()
                )
                count += found.filter(status=JobStatus.RUNNING).update(
                    cancel_requested_at=Coalesce("cancel_requested_at", Now())
                )
        return count

    def lock_free(self) -> bool:
        """Lock the rows that nobody else has locked; tell whether there was one."""
        self._for_write = True
        return bool(self.select_for_update(skip_locked=True).values_list("pk"))

    def abandoned(self) -> Self:
        """Keep the running jobs whose lease ran out."""
        return self.filter(status=JobStatus.RUNNING, lease_expires_at__lt=Now())

    def undelivered(self) -> Self:
        """Keep the due jobs that nobody was told of, or that nobody came for in a long while.

        The while is `REDISPATCH_AFTER` at first and doubles with each message, counted from when
        the job was due: one that only waits behind many others must not fill the queue with copies
        of itself.
        """
        first_wait: timedelta = get_settings().REDISPATCH_AFTER
        since = Greatest(F("updated_at"), Coalesce(F("run_after"), F("updated_at")))
        waited = GreaterThan(Now() - F("dispatched_at"), F("dispatched_at") - since)
        return self.due().filter(
            Q(dispatched_at__isnull=True) | (Q(dispatched_at__lt=Now() - first_wait) & Q(waited))
        )
