"""Keep the lease of a running attempt from a thread of its own.

One call inside a handler can block for minutes; only another thread, with its own connection, can
say meanwhile that the attempt is alive.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

from django.db import Error as DatabaseError
from django.db import connections
from django.db.models.functions import Now

from session_mgmt.conf import get_settings
from session_mgmt.models import Job

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Heartbeat"]

logger = logging.getLogger(__name__)


class Heartbeat:
    """Renew the lease three times in each lease's length while the `with` block runs.

    A short job ends before the first beat and costs no connection. When the lease is found lost
    the thread ends; the handler learns of it at its next write.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._using = job._state.db or "default"
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name=f"lease-of-job-{job.pk}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        lease = get_settings().LEASE
        try:
            while not self._stop.wait(lease.total_seconds() / 3):
                try:
                    jobs = Job.objects.using(self._using).owned_by(self._job)
                    if not jobs.update(lease_expires_at=Now() + lease):
                        return
                except DatabaseError as error:
                    logger.warning(
                        "Lease of job %s was not renewed: %s", self._job.pk, type(error).__name__
                    )
                    connections[self._using].close()
        finally:
            connections[self._using].close()
