"""Test a handler against what can happen to its attempts: kills, lost connections, second messages.

Models are imported where they are used, because pytest loads the plugin beside this file before
Django is set up.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.states import JobStatus
from session_mgmt.testing.jobs import changed_settings, run_jobs_inline

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_mgmt.models import Job
    from session_mgmt.testing.disturbed import DisturbedFence

__all__ = ["Disturbance", "check_handler", "run_disturbed"]


class Disturbance(enum.Enum):
    """What can happen to an attempt at one of its writes.

    Attributes:
        KILLED: its process is killed right after the write; later a rescue finds the job.
        TAKEN_OVER: before the write its lease runs out, and another attempt does the whole job.
        CANCELLED: before the write somebody cancels the job.
        WORKER_STOPS: its worker is told to stop; the write is its last.
        DELIVERED_TWICE: the engine delivers the job again, before the write and after the attempt.
        CONNECTION_LOST: the connection is cut in the write's transaction, before the write. On
            SQLite, which has none, the database is busy; so it is below.
        COMMIT_LOST: the connection is cut when the write is done, before its COMMIT.
    """

    KILLED = "killed after"
    TAKEN_OVER = "taken over before"
    CANCELLED = "cancelled before"
    WORKER_STOPS = "told to stop at"
    DELIVERED_TWICE = "delivered twice at"
    CONNECTION_LOST = "cut off before"
    COMMIT_LOST = "cut off before the COMMIT of"


# The end of an attempt can be kept from being written, as if it were one more write.
_AT_THE_END: Final = (Disturbance.KILLED, Disturbance.TAKEN_OVER)


def run_disturbed(job: Job, disturbance: Disturbance, at: int = 1) -> Job:
    """Run the job's next attempt and disturb it at one of its writes; then the job is due again.

    Writes are what a handler does through its context: `progress`, `save_scene`, a `step` that is
    not stored yet, `atomic`. Those inside of a transaction that the handler has opened do not
    count. One more than there are means the end of the attempt, for KILLED and TAKEN_OVER.

    A kill is an exception that passes through the handler, which may run its `finally`; but nothing
    of the attempt is written any more, not even its end.

    Args:
        job: one that waits.
        disturbance: what happens.
        at: at which write, from 1.

    Returns:
        The job as it is now.

    Raises:
        AssertionError: the attempt ended before; or the handler went on after a LeaseLostError,
            JobCancelledError or WorkerStoppingError, or a second delivery was let through.
        InvalidInputError: the job does not wait, or this process does not know its handler.
        TransactionManagementError: the test is a transaction, in which nothing commits.
    """
    from session_mgmt.testing.disturbed import run_attempt

    _check(job)
    with changed_settings(RETRY_MAX_DELAY=0):
        fence = run_attempt(job, disturbance, at)
    name = f"{job.job_type}, {disturbance.value} write {at}"
    if fence.problem:
        raise AssertionError(f"{name}: {fence.problem}")
    if not fence.happened:
        raise AssertionError(f"{name}: the attempt ended after {fence.writes} writes")
    jobs = type(job).objects.using(job._state.db)
    jobs.filter(pk=job.pk).early().update(run_after=None)
    return jobs.get(pk=job.pk)


def check_handler(
    make_job: Callable[[], Job], *, effects: Callable[[Job], object] | None = None
) -> None:
    """Require that a job comes to the same end, whatever happens to its first attempt.

    A job is made and run undisturbed, and another for each `Disturbance` at each of its writes;
    retries, and jobs that it creates, are run as well. The outcome must be the same: the status and
    result of the job, the steps it stored, the status and scenes of its session, the types and
    statuses of the jobs that were created, and what `effects` returns. A job that was cancelled
    must be cancelled. The handler must let the errors pass that tell it to stop.

    While a job is taken over two attempts are at work, and what they do elsewhere is done twice,
    also in a `step`; so it is when one is killed before its step is stored. Let the other side
    know it again by a key; or, where twice is harmless, let `effects` return a set.

    Args:
        make_job: makes a job that waits, with all that it needs; called for each run, which begins
            with it. A job of few writes does.
        effects: called with the job after its run; returns what the handler did elsewhere, as
            values that can be compared.

    Raises:
        AssertionError: it came to another end; the message names the disturbance, the write and
            the difference.
        InvalidInputError: `make_job` did not make a new job that waits for a known handler.
        TransactionManagementError: the test is a transaction, in which nothing commits.
    """
    with changed_settings(RETRY_MAX_DELAY=0):
        check = _Check(make_job, effects)
        check.run("run once more undisturbed", None, 0)
        for disturbance in Disturbance:
            for at in check.places(disturbance):
                place = f"write {at} of {check.writes}" if at <= check.writes else "its last line"
                check.run(f"{disturbance.value} {place}", disturbance, at)


class _Check:
    """Runs of one kind of job; the first, which nothing disturbs, says what they must come to.

    Attributes:
        writes: how many there were in that run.
    """

    def __init__(
        self, make_job: Callable[[], Job], effects: Callable[[Job], object] | None
    ) -> None:
        self._make_job = make_job
        self._effects = effects
        self._made: set[int] = set()
        _, fence, self._expected = self._run(None, 0)
        self.writes = fence.writes

    def places(self, disturbance: Disturbance) -> range:
        """Return the writes at which the disturbance can make a difference."""
        if disturbance is Disturbance.DELIVERED_TWICE:
            return range(1, min(self.writes, 1) + 1)
        return range(1, self.writes + 1 + (disturbance in _AT_THE_END))

    def run(self, name: str, disturbance: Disturbance | None, at: int) -> None:
        """Run another job, and compare what it comes to."""
        job, fence, outcome = self._run(disturbance, at)
        expected = self._expected
        if fence.happened and disturbance is Disturbance.CANCELLED:
            expected = {"status": JobStatus.CANCELLED}
        problems = [fence.problem] if fence.problem else []
        problems += [
            f"{key}: {value!r} became {outcome[key]!r}"
            for key, value in expected.items()
            if outcome[key] != value
        ]
        if not problems:
            return
        if disturbance is None:
            problems.append("What changes from run to run, such as a time, cannot be compared.")
        elif job.error_message:
            problems.append(f"The job's last error: {job.error_message}")
        raise AssertionError("\n  ".join([f"{job.job_type}, {name}:", *problems]))

    def _run(
        self, disturbance: Disturbance | None, at: int
    ) -> tuple[Job, DisturbedFence, dict[str, object]]:
        from session_mgmt.testing.disturbed import run_attempt
        from session_mgmt.testing.outcomes import outcome_of

        job = self._make_job()
        _check(job)
        if job.pk in self._made:
            raise InvalidInputError("make_job", f"must make a new job each time, not {job} again")
        self._made.add(job.pk)
        fence = run_attempt(job, disturbance, at)
        run_jobs_inline(job._state.db or "default")
        job.refresh_from_db()
        return job, fence, outcome_of(job, self._effects)


def _check(job: object) -> None:
    from django.db import connections
    from django.db.transaction import TransactionManagementError

    from session_mgmt.jobs.handlers import registered
    from session_mgmt.models import Job

    if not isinstance(job, Job) or job.pk is None:
        raise InvalidInputError("job", f"must be a saved job, not {shown(job)}")
    if job.job_type not in registered():
        raise InvalidInputError("job", f"has no handler here: {job.job_type!r}")
    using = job._state.db or "default"
    if connections[using].in_atomic_block:
        raise TransactionManagementError(
            "An attempt is disturbed where it commits, and this test is a transaction; use "
            "TransactionTestCase, or pytest.mark.django_db(transaction=True)"
        )
    job.refresh_from_db()
    if job.status != JobStatus.PENDING:
        raise InvalidInputError("job", f"must be one that waits; {job} is {job.status.value}")
