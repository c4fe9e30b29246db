"""Keep the lease of a running attempt from a thread of its own.

One call inside a handler can block for minutes; only another thread, with its own connection, can
say meanwhile that the attempt is alive. A call that keeps Python's interpreter lock for longer than
two thirds of a lease, which few do, stops that thread too: then LEASE must be longer.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from django.db import connections
from django.db.models import F
from django.db.models.functions import Greatest, Now

from session_mgmt.conf import get_settings
from session_mgmt.db.connection import leave_pool
from session_mgmt.exceptions import LeaseLostError
from session_mgmt.jobs.attempts import fail_attempt
from session_mgmt.models import Job

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

__all__ = ["Heartbeat"]

logger = logging.getLogger(__name__)

_PATIENCE: Final = 5.0
_PAUSE: Final = 1.0


class Heartbeat:
    """Renew the lease three times in each lease's length while the `with` block runs.

    A short job ends before the first beat and costs no connection, a long one only during a beat.
    When the lease is found lost the thread ends; the handler learns of it at its next write.

    When the time for the attempt is over it ends the attempt, as if the handler had raised. It
    cannot stop the handler, but from then on the handler can write nothing.
    """

    def __init__(self, job: Job, timeout: timedelta | None) -> None:
        self._job = job
        self._using = job._state.db or "default"
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name=f"lease-of-job-{job.pk}", daemon=True
        )

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads: then only writes renew the lease
            logger.warning("Job %s runs without a heartbeat: %s", self._job.pk, error)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            # It may wait for the database; what it writes after the end of the attempt is refused.
            self._thread.join(_PATIENCE)

    def _beat(self) -> None:
        has_failed = False
        while not self._stop.wait(self._seconds_to_next(has_failed)):
            try:
                # A pool that is used up by attempts, each with its own, must not cost them all.
                leave_pool(self._using)
                if not self._goes_on():
                    return
                has_failed = False
            except LeaseLostError:
                return
            except Exception as error:  # the next beat may do better, and without any all is lost
                name = type(error).__name__
                logger.warning("Lease of job %s was not renewed: %s", self._job.pk, name)
                has_failed = True
            finally:
                connections[self._using].close()

    def _seconds_to_next(self, has_failed: bool) -> float:
        pause: float = get_settings().LEASE.total_seconds() / 3
        if has_failed:
            return min(pause, _PAUSE)
        if self._deadline is None:
            return pause
        return max(0.0, min(pause, self._deadline - time.monotonic()))

    def _goes_on(self) -> bool:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            fail_attempt(self._job, f"The attempt took longer than {self._timeout}")
            return False
        owned = Job.objects.using(self._using).owned_by(self._job)
        # Whoever had the row locked meanwhile may have renewed the lease after this began.
        renewed = Greatest(F("lease_expires_at"), Now() + get_settings().LEASE)
        return bool(owned.update(lease_expires_at=renewed))
