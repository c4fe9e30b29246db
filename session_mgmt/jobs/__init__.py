"""Jobs: register a handler, run an attempt, cancel, rescue what got lost (seed 002)."""

from session_mgmt.exceptions import GiveUp
from session_mgmt.jobs.bulk import JobRequest, create_jobs_if_not_exist
from session_mgmt.jobs.cancellation import cancel_job
from session_mgmt.jobs.context import JobContext
from session_mgmt.jobs.handlers import job_handler
from session_mgmt.jobs.rescue import rescue_jobs
from session_mgmt.jobs.runner import run_job

__all__ = [
    "GiveUp",
    "JobContext",
    "JobRequest",
    "cancel_job",
    "create_jobs_if_not_exist",
    "job_handler",
    "rescue_jobs",
    "run_job",
]
