"""Engines that misbehave."""

from typing import ClassVar

from session_mgmt.jobs import run_job


class BrokenEngine:
    def deliver(self, job_id, using, *, priority, run_after):
        raise RuntimeError("engine is down")


class ImpatientEngine:
    """Cannot wait: like a backend without deferred tasks."""

    delivered: ClassVar[list[int]] = []

    def deliver(self, job_id, using, *, priority, run_after):
        if run_after is not None:
            return False
        self.delivered.append(job_id)
        return True


class PickyEngine:
    """Refuses some jobs."""

    delivered: ClassVar[list[int]] = []
    refused: ClassVar[set[int]] = set()

    def deliver(self, job_id, using, *, priority, run_after):
        if job_id in self.refused:
            raise RuntimeError("engine is down")
        self.delivered.append(job_id)
        return True


class EagerEngine:
    """Runs a job at once, as an engine for development does."""

    def deliver(self, job_id, using, *, priority, run_after):
        if run_after is not None:
            return False
        run_job(job_id, using)
        return True
