"""Bring a storyboard to its end from a program that a person waits for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from session_mgmt.jobs import rescue_jobs, run_job
from session_mgmt.models import Job
from session_mgmt.sessions import session_manager
from session_mgmt.states import ACTIVE_JOB_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_mgmt.models import GenerationSession
    from session_mgmt.schemas import ProgressUpdate

__all__ = ["run_to_the_end"]

_PAUSE: Final = 0.2  # seconds between two looks while somebody else works


def run_to_the_end(
    session: GenerationSession, show: Callable[[ProgressUpdate | None], None]
) -> GenerationSession | None:
    """Run the session's job in this process, or watch it if a worker was faster.

    Returns:
        The session when it has ended or nothing works on it, None if it was removed meanwhile.
    """
    jobs = Job.objects.filter(session=session, status__in=ACTIVE_JOB_STATUSES)
    current: GenerationSession | None = session
    while current is not None and (job_ids := list(jobs.values_list("pk", flat=True))):
        if not any(run_job(job_id) for job_id in job_ids):
            time.sleep(_PAUSE)
            rescue_jobs()
        current = session_manager.get_session(session.pk)
        if current is not None:
            show(current.progress)
    return current
