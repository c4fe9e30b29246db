"""Errors that end an attempt at a job, raised by it or raised in it."""

from __future__ import annotations

from session_mgmt.exceptions.roots import SessionManagerError

__all__ = ["GiveUp", "JobCancelledError", "LeaseLostError", "WorkerStoppingError"]


class LeaseLostError(SessionManagerError):
    """This attempt no longer owns its job: stop, whatever it writes is refused.

    Attributes:
        job_id: the job.
        attempt: the attempt that lost it.
    """

    def __init__(self, job_id: int, attempt: int) -> None:
        super().__init__(
            f"Attempt {attempt} no longer owns job {job_id}: it ended, was removed, "
            "or was taken over after its lease ran out"
        )
        self.job_id = job_id
        self.attempt = attempt


class JobCancelledError(SessionManagerError):
    """Somebody cancelled the job: stop, whatever this attempt writes is refused.

    Attributes:
        job_id: the job.
    """

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} was cancelled")
        self.job_id = job_id


class WorkerStoppingError(SessionManagerError):
    """The worker is about to end: stop, another one goes on; the attempt does not count.

    Attributes:
        job_id: the job.
    """

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} is given back, because its worker was told to stop")
        self.job_id = job_id


class GiveUp(SessionManagerError):  # noqa: N818 # raised by handlers on purpose: an order, no error
    """Raise it in a handler when trying again is of no use: the job fails for good."""
