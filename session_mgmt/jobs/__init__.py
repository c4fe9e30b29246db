"""Jobs: register a handler, run an attempt, rescue what got lost (seed 002)."""

from session_mgmt.jobs.context import JobContext
from session_mgmt.jobs.handlers import job_handler
from session_mgmt.jobs.rescue import rescue_jobs
from session_mgmt.jobs.runner import run_job

__all__ = ["JobContext", "job_handler", "rescue_jobs", "run_job"]
