"""Engines that misbehave."""

from typing import ClassVar


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
    """Refuses one job."""

    delivered: ClassVar[list[int]] = []
    refused: ClassVar[int | None] = None

    def deliver(self, job_id, using, *, priority, run_after):
        if job_id == self.refused:
            raise RuntimeError("engine is down")
        self.delivered.append(job_id)
        return True
