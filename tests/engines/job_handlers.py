"""What the workers of the tests of engines do; the tests' own process knows the names only."""

import os
import time
from pathlib import Path

from django.db import connection

from session_mgmt.jobs import job_handler

PATIENCE = 60.0


def wait_for(condition):
    """Wait as long as a test would; longer than that nobody waits."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


@job_handler("engines_note")
def note(job):
    """Say in a file that an attempt was made."""
    with Path(job.parameters["file"]).open("a", encoding="utf-8") as file:
        file.write(f"{job.job.target_id}\n")
    return {"attempt": job.job.attempt}


@job_handler("engines_fail_once")
def fail_once(job):
    if job.job.attempt == 1:
        raise ValueError("no luck")
    return {"attempt": job.job.attempt}


@job_handler("engines_hold")
def hold(job):
    """Keep the worker busy until a file is there."""
    job.progress(0, 1, "holding")
    wait_for(Path(job.parameters["gate"]).exists)


@job_handler("engines_hang_once")
def hang_once(job):
    if job.job.attempt == 1:
        job.progress(0, 1, "hanging")
        wait_for(lambda: False)
    return {"attempt": job.job.attempt}


@job_handler("engines_socket")
def socket_of_database(job):
    """Return which socket leads to the database, and what the parent has open."""
    connection.ensure_connection()
    number = os.fstat(connection.connection.fileno()).st_ino
    folder = Path(f"/proc/{os.getppid()}/fd")
    return {
        "socket": f"socket:[{number}]",
        "parent": [str(fd.readlink()) for fd in folder.iterdir()],
    }


@job_handler("engines_buffer")
def buffer(job):
    """Leave progress in the buffer, which waits for a minute."""
    job.session.track(total=7).step(5)


@job_handler("engines_go_on")
def go_on(job):
    """Work until somebody else is to do it."""
    if job.job.attempt == 1:
        wait_for(lambda: job.progress(0, 1, "going on"))
    return {"attempt": job.job.attempt}
