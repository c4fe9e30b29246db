"""What the forked processes run: a worker, who asks for jobs, who rescues, who looks at the end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, close_old_connections, connection, transaction

from session_mgmt import GenerationRequest
from session_mgmt.exceptions import CommitOutcomeUnknownError
from session_mgmt.jobs import run_job
from session_mgmt.models import GenerationSession, Job, JobStep, Scene
from session_mgmt.sessions import session_manager
from tests.chaos import broker, history
from tests.chaos.checker import EFFECT
from tests.chaos.job_handlers import JOB_TYPE, TABLE

AWAY = (DatabaseError, InterfaceError, CommitOutcomeUnknownError)


def prepare():
    """Make the tables."""
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        columns = "job varchar(200), attempt integer, at double precision"
        cursor.execute(f"CREATE TABLE {TABLE} ({columns})")


def worker():
    """Run jobs until SIGTERM, or a message that says so."""
    asked_to_stop = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.append(True))
    client = broker.connect()
    while not asked_to_stop:
        job_id = broker.take(client)
        if job_id is None:
            continue
        if job_id == broker.STOP:
            return
        try:
            if not run_job(job_id):
                history.current().append("refused", os.environ["CHAOS_NAME"])
        except AWAY as error:
            sys.stderr.write(f"A worker met {error!r}\n")
        close_old_connections()


def web(targets, parameters, max_retries, has_session):
    """Ask for jobs, as requests do; an error is the answer to one of them."""
    for target in targets:
        history.current().append("asked", target)
        try:
            job, _ = _request(target, parameters, max_retries, has_session)
        except AWAY as error:
            history.current().append("not answered", target, error=type(error).__name__)
            close_old_connections()
        else:
            history.current().append("created", target, number=job.pk)


def _request(target, parameters, max_retries, has_session):
    with transaction.atomic():
        session = None
        if has_session:
            request = GenerationRequest(story_text="A story.", num_scenes=1)
            key = session_manager.create_session(request)
            session = GenerationSession.objects.with_id(key).get()
        job, created = Job.objects.create_if_not_exists(
            JOB_TYPE, target, parameters, None, session, max_retries=max_retries
        )
        if not created:
            transaction.set_rollback(True)  # the session that nobody needs
    return job, created


def rescuer():
    """Be the command that looks for lost jobs."""
    call_command("rescue_jobs", interval=0.2)


def settle(prefix, patience):
    """Wait until all jobs whose targets begin so have ended."""
    unfinished = Job.objects.filter(target_id__startswith=prefix).unfinished()
    deadline = time.monotonic() + patience
    while unfinished.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def dump(prefix, path):
    """Write what the checker wants to know to a file, and make room for the next."""
    jobs = Job.objects.filter(target_id__startswith=prefix).select_related("session")
    found = {"jobs": [_row(job) for job in jobs], "writes": [*_writes(prefix)]}
    Path(path).write_text(json.dumps(found), encoding="utf-8")
    GenerationSession.objects.all().delete()
    Job.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608 # our name


def _row(job):
    return {
        "job": job.target_id,
        "status": str(job.status),
        "attempt": job.attempt,
        "given_back": job.given_back,
        "result": job.result,
        "error": job.error_message,
        "session": str(job.session.status) if job.session else None,
    }


def _writes(prefix):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT job, attempt, at FROM {TABLE}")  # noqa: S608 # our name
        for job, attempt, at in cursor.fetchall():
            if job.startswith(prefix):
                yield {"job": job, "name": EFFECT, "attempt": attempt, "at": at}
    steps = JobStep.objects.filter(job__target_id__startswith=prefix).exclude(name=EFFECT)
    for job, name, result in steps.values_list("job__target_id", "name", "result"):
        yield {"job": job, "name": name, **result}
    scenes = Scene.objects.filter(session__jobs__target_id__startswith=prefix)
    for job, number, written in scenes.values_list(
        "session__jobs__target_id", "scene_number", "metadata"
    ):
        yield {"job": job, "name": f"scene {number}", **written}
