"""Run one attempt of a job and do to it, at a chosen write, what a bad day would do.

The attempt runs through `run_job` and writes through a real fence. All that is replaced, while it
runs, is its handler: by one that looks the same and gives its context a fence that is in league
with the test.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING

from django.db import connections

from session_mgmt.exceptions import JobCancelledError, LeaseLostError, WorkerStoppingError
from session_mgmt.jobs.cancellation import cancel_job
from session_mgmt.jobs.drain import StopSignals
from session_mgmt.jobs.fence import Fence
from session_mgmt.jobs.handlers import job_handler, registered
from session_mgmt.jobs.runner import run_job
from session_mgmt.testing.accidents import cut_connection, lose_lease, run_at_once
from session_mgmt.testing.disturbances import Disturbance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from session_mgmt.jobs.context import JobContext
    from session_mgmt.jobs.handlers import Handler, HandlerFunction
    from session_mgmt.models import Job

__all__ = ["DisturbedFence", "run_attempt"]

_ORDERS = (JobCancelledError, LeaseLostError, WorkerStoppingError)


class _Killed(BaseException):
    """The process is gone: nothing that comes after this may be written."""


class _Stop(StopSignals):
    """What a worker hears that is told to stop by the test."""

    asked = False

    @property
    def is_draining(self) -> bool:
        return self.asked or super().is_draining


class DisturbedFence(Fence):
    """The fence of the attempt that is to be disturbed.

    Only writes that are a transaction of their own are counted. Inside a transaction that the
    handler has opened an attempt cannot lose its job, and a kill takes all of it back.

    Attributes:
        writes: how many there were.
        happened: whether the disturbance has come.
        problem: what went wrong, beside what the outcome tells.
    """

    def __init__(self, job: Job, disturbance: Disturbance | None, at: int) -> None:
        self._stop = _Stop()
        super().__init__(job, self._stop)
        self.writes = 0
        self.happened = False
        self.problem = ""
        self.is_dead = False
        self._disturbance = disturbance
        self._at = at
        self._order: Exception | None = None

    def write(self, work: Callable[[bool], object], **values: object) -> None:
        """Do as `Fence`, and come to harm if it is the one."""

        def cut(is_repeat: bool) -> None:
            self._lose_connection(Disturbance.CONNECTION_LOST)
            work(is_repeat)
            self._lose_connection(Disturbance.COMMIT_LOST)

        if connections[self.using].in_atomic_block:
            super().write(work, **values)
        else:
            with self._counted():
                super().write(cut, **values)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Do as `Fence`, and come to harm if it is the one."""
        if connections[self.using].in_atomic_block:
            with super().atomic():
                yield
        else:
            with self._counted(), super().atomic():
                self._lose_connection(Disturbance.CONNECTION_LOST)
                yield
                self._lose_connection(Disturbance.COMMIT_LOST)

    def look_around(self) -> None:
        """Do as `Fence`, while the process lives."""
        self._require_alive()
        with self._heard():
            super().look_around()

    def is_open(self) -> bool:
        """Do as `Fence`, while the process lives."""
        self._require_alive()
        return super().is_open()

    def watch(self, function: HandlerFunction, context: JobContext) -> object:
        """Call the handler and see how it ends; that counts as one more write."""
        try:
            result = function(context)
        except Exception as error:
            self._require_alive()
            if self._order is not None and self._order not in _history(error):
                self.problem = _swallowed(self._order)
            raise
        self._require_alive()
        if self._order is not None:
            self.problem = _swallowed(self._order)
        if self._at == self.writes + 1 and self._disturbance is Disturbance.KILLED:
            self._die()
        if self._at == self.writes + 1 and self._disturbance is Disturbance.TAKEN_OVER:
            self._disturb()
        return result

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._require_alive()
        self.writes += 1
        number = self.writes
        if number == self._at:
            self._disturb()
        with self._heard():
            yield
        if number == self._at and self._disturbance is Disturbance.KILLED:
            self._die()

    @contextmanager
    def _heard(self) -> Iterator[None]:
        try:
            yield
        except _ORDERS as order:
            self._order = self._order or order
            raise

    def _disturb(self) -> None:
        """Do what is to happen before the write."""
        if self._disturbance is Disturbance.TAKEN_OVER:
            self.happened = True
            lose_lease(self.job.pk, self.using)
            while run_at_once(self.job.pk, self.using):
                pass
        elif self._disturbance is Disturbance.CANCELLED:
            self.happened = cancel_job(self.job, self.using)
        elif self._disturbance is Disturbance.WORKER_STOPS:
            self.happened = self._stop.asked = True
        elif self._disturbance is Disturbance.DELIVERED_TWICE:
            self.happened = True
            if run_job(self.job.pk, self.using):
                self.problem = "A second delivery was let through while the first attempt ran."

    def _lose_connection(self, when: Disturbance) -> None:
        if self._disturbance is when and self._at == self.writes and not self.happened:
            self.happened = True
            cut_connection(self.using)

    def _die(self) -> None:
        self.happened = self.is_dead = True
        # An attempt that is over owns nothing, so that neither the runner nor the heartbeat, which
        # would be gone with the process, can end it in good order.
        self.job.attempt = 0
        raise _Killed

    def _require_alive(self) -> None:
        if self.is_dead:
            raise _Killed


def run_attempt(job: Job, disturbance: Disturbance | None, at: int) -> DisturbedFence:
    """Run the job's next attempt, and leave the job as it is found after the disturbance.

    Raises:
        AssertionError: there was no attempt to make.
    """
    using = job._state.db or "default"
    handler = registered()[job.job_type]
    fences: list[DisturbedFence] = []

    @wraps(handler.function)
    def disturbed(context: JobContext) -> object:
        if fences or context.job.pk != job.pk:
            return handler.function(context)
        fence = DisturbedFence(context.fence.job, disturbance, at)
        fences.append(fence)
        context.fence = fence
        return fence.watch(handler.function, context)

    _register(handler, disturbed)
    try:
        with suppress(_Killed):
            run_at_once(job.pk, using)
    finally:
        _register(handler, handler.function)
    if not fences:
        raise AssertionError(f"Job {job.pk} does not wait to be run")
    (fence,) = fences
    if fence.is_dead:
        lose_lease(job.pk, using)
    if disturbance is Disturbance.DELIVERED_TWICE and run_job(job.pk, using):
        fence.problem = "A second delivery was let through after the first attempt had ended."
    return fence


def _register(handler: Handler, function: HandlerFunction) -> None:
    # A function of the same place and name may take the place of another.
    job_handler(handler.job_type, max_retries=handler.max_retries, timeout=handler.timeout)(
        function
    )


def _history(error: BaseException | None) -> list[BaseException]:
    """Return an error and those that led to it."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is not None and error not in found:
            found.append(error)
            waiting += [error.__cause__, error.__context__]
    return found


def _swallowed(order: Exception) -> str:
    return f"The handler went on after {type(order).__name__}; it must let that error pass."
