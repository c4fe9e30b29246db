"""Let happen what a test cannot wait for: a job is due, a lease runs out, a line breaks."""

from __future__ import annotations

import socket
import sqlite3
from datetime import timedelta

from django.db import OperationalError, connections
from django.db.models.functions import Now

from session_mgmt.jobs.attempts import abandon_attempt
from session_mgmt.jobs.runner import run_job
from session_mgmt.models import Job

__all__ = ["cut_connection", "lose_lease", "run_at_once"]


def run_at_once(job_id: int, using: str) -> bool:
    """Run a job's next attempt, whether it is due or not; tell whether there was one to make."""
    Job.objects.using(using).filter(pk=job_id).early().update(run_after=None)
    return run_job(job_id, using)


def lose_lease(job_id: int, using: str) -> None:
    """Let the lease of the running attempt run out, and do what a rescue does then."""
    rows = Job.objects.using(using).filter(pk=job_id)
    rows.update(lease_expires_at=Now() - timedelta(seconds=1))
    abandon_attempt(rows.get())


def cut_connection(using: str) -> None:
    """Cut this thread's connection; SQLite has none, so there the database is found busy."""
    connection = connections[using]
    if connection.vendor == "sqlite":
        busy = sqlite3.OperationalError("database is locked")
        busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError(str(busy)) from busy
    wire = socket.socket(fileno=connection.connection.fileno())
    try:
        wire.shutdown(socket.SHUT_RDWR)
    finally:
        wire.detach()
