"""Let an attempt write only while it owns its job, nobody cancelled that, and its worker stays."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from django.db import connections, transaction
from django.db.models.functions import Now

from session_mgmt.conf import get_settings
from session_mgmt.db import db_retry
from session_mgmt.exceptions import JobCancelledError, LeaseLostError, WorkerStoppingError
from session_mgmt.jobs.persistence import surely
from session_mgmt.models import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from session_mgmt.jobs.drain import StopSignals
    from session_mgmt.models.job_queries import JobQuerySet

__all__ = ["Fence"]


class Fence:
    """Stands before every write of one attempt.

    A write first touches the job's row with the condition that this attempt owns it, in the same
    transaction. So a zombie, which wakes up after its lease ran out and somebody else took over,
    can write nothing; and nobody can take over between the question and the write. Each write is a
    sign of life and renews the lease.

    Attributes:
        job: the row as it was claimed.
        using: database alias.
        is_cancelled: whether the handler was told that somebody cancelled the job.
        is_stopping: whether it was told that the worker is to stop.
    """

    def __init__(self, job: Job, signals: StopSignals) -> None:
        self.using = job._state.db or "default"
        self.is_cancelled = False
        self.is_stopping = False
        self.job = job
        self._signals = signals

    def write(self, work: Callable[[bool], object], **values: object) -> None:
        """Do `work` with columns of the job in one transaction; through an outage of the database.

        It is told by a true argument that an earlier call may have committed (see `surely`). After
        that, if the worker is to stop, the attempt ends here: what was written counts.

        Raises:
            LeaseLostError: this attempt no longer owns the job; nothing is written.
            JobCancelledError: somebody cancelled it; nothing is written.
            WorkerStoppingError: it is written, and the attempt is to end.
        """

        def fenced(is_repeat: bool) -> None:
            self._pass(values)
            work(is_repeat)

        surely(fenced, self.using)
        self.look_around()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Open a transaction that only the owner of the job can commit."""
        with transaction.atomic(using=self.using):
            self._pass({})
            yield
            self._pass({})  # the lease lasts from the end, as nobody could renew it meanwhile

    @property
    def is_draining(self) -> bool:
        """Tell whether the worker is to stop."""
        return self._signals.is_draining

    def look_around(self) -> None:
        """Raise WorkerStoppingError if the worker is to stop and no transaction is open."""
        if self.is_draining and not connections[self.using].in_atomic_block:
            self.is_stopping = True
            raise WorkerStoppingError(self.job.pk)

    def require_open(self) -> None:
        """Raise what a write would raise now; one query."""
        self.look_around()
        if not self.is_open():
            self._refuse()

    @db_retry
    def is_open(self) -> bool:
        """Tell whether a write would be let through; one query."""
        is_open = self._owned().wanted().exists()
        if not is_open and self._owned().exists():
            self.is_cancelled = True
        return is_open

    def _pass(self, values: dict[str, object]) -> None:
        lease = get_settings().LEASE
        alive = {"updated_at": Now(), "lease_expires_at": Now() + lease}
        if self._owned().wanted().update(**alive, **values):
            return
        self._refuse()

    def _refuse(self) -> NoReturn:
        if self._owned().exists():
            self.is_cancelled = True
            raise JobCancelledError(self.job.pk)
        raise LeaseLostError(self.job.pk, self.job.attempt)

    def _owned(self) -> JobQuerySet:
        return Job.objects.using(self.using).owned_by(self.job)
