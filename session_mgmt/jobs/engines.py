"""Hand jobs to the workers that the user already runs.

An engine only delivers. It may lose a message or deliver it twice: the row in the database is the
truth, the claim refuses duplicates and `rescue_jobs` sends again what nobody came for.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.utils.module_loading import import_string

from session_mgmt.conf import get_settings

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Engine", "get_engine"]


class Engine(Protocol):
    """Delivers the number of a job to some worker, which calls `run_job` with it."""

    def deliver(
        self, job_id: int, using: str, *, priority: int, run_after: datetime | None
    ) -> bool:
        """Send a message; False if this engine cannot wait until `run_after`."""


def get_engine() -> Engine:
    """Return the engine that `JOB_ENGINE` names; it is imported at its first use."""
    return _engine(get_settings().JOB_ENGINE)


@cache
def _engine(path: str) -> Engine:
    engine: Engine = import_string(path)()
    return engine
