"""Let RQ's child give its job back: `rqworker --worker-class session_mgmt.jobs.rq.DrainingWorker`.

RQ's worker does each task in a child, which it does not tell when it is to stop itself: it waits.
"""

from __future__ import annotations

from rq import Worker

from session_mgmt.jobs.drain import request_drain

__all__ = ["DrainingWorker"]


class DrainingWorker(Worker):
    """Do as RQ's worker does, and tell the child through memory that both share."""

    def handle_warm_shutdown_request(self) -> None:
        """Ask the attempt of the child to end, and wait for it."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call] # as RQ has it
        request_drain()
