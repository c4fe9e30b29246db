"""Cancel jobs: what waits at once, what runs as soon as its handler listens."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, transaction

from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.jobs.following import follow_end
from session_mgmt.models import Job
from session_mgmt.states import JobStatus

__all__ = ["cancel_job"]


def cancel_job(job: Job | int, using: str | None = None) -> bool:
    """Cancel a job, and with the last job of a session the session.

    A job that waits is cancelled at once. An attempt that runs learns of it by `cancelled`, or by a
    JobCancelledError at its next write, which is refused; when it ends, or its lease runs out, the
    job is cancelled and not tried again. One that asks nothing and writes nothing until it returns
    has done its work, and its job is completed; one that raises in its last attempt has failed.

    In one transaction, which locks the job and then its session; harmless twice.

    Args:
        job: the job, or its number.
        using: database alias; None means the one that the job came from, or the default one.

    Returns:
        False if there is no such job, or it has ended.

    Raises:
        InvalidInputError: it is neither a job nor a number.
    """
    pk: object = job.pk if isinstance(job, Job) else job
    if not isinstance(pk, int) or isinstance(pk, bool):
        raise InvalidInputError("job", f"must be a saved job or its number, not {shown(job)}")
    using = using or (isinstance(job, Job) and job._state.db) or DEFAULT_DB_ALIAS
    with transaction.atomic(using=using):
        rows = Job.objects.using(using).filter(pk=pk)
        locked = rows.select_for_update().first()
        if locked is None or not rows.cancel():
            return False
        if locked.status == JobStatus.PENDING:
            follow_end(locked)
    return True
