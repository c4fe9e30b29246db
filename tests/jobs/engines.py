"""Engines that misbehave."""


class BrokenEngine:
    def deliver(self, job_id, using, *, priority, run_after):
        raise RuntimeError("engine is down")
