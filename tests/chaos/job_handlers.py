"""The job of the chaos: steps, a scene, one effect in the database, and a note of each.

Its parameters say whether the first attempt fails, or at which point it kills its worker.
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from django.db import connections

from session_mgmt import ScenePrompt
from session_mgmt.exceptions import LeaseLostError
from session_mgmt.jobs import job_handler
from tests.chaos import history
from tests.chaos.checker import EFFECT

JOB_TYPE = "chaos"
TABLE = "chaos_effect"


@job_handler(JOB_TYPE, max_retries=100)
def work(job):
    """Do it all, and note the beginning and the end."""
    note = partial(history.current().append, job=job.job.target_id, attempt=job.job.attempt)
    note("begin")
    try:
        _steps(job, note)
        _scene(job)
        _effect(job, note)
    except LeaseLostError:
        note("fenced out")
        raise
    note("end")
    _die_at("end", job)
    return {"attempt": job.job.attempt}


def _steps(job, note):
    count, pause = job.parameters["steps"], job.parameters["pause"]
    _die_at("claim", job)
    for number in range(count):
        job.step(f"step {number}", _step, job.job.attempt, number, pause, note)
        note("stored", step=number)
        _die_at("step", job)
        job.progress(number + 1, count + 1, f"Step {number}")
    if job.parameters["fails"] and job.job.attempt == 1:
        raise OSError("the first attempt fails")


def _step(attempt, number, pause, note):
    note("ran", step=number)
    moment = time.monotonic()
    time.sleep(pause)
    return {"attempt": attempt, "at": moment}


def _scene(job):
    if job.job.session_id and 1 not in job.saved_scenes:
        written = {"attempt": job.job.attempt, "at": time.monotonic()}
        job.save_scene(ScenePrompt(scene_number=1, metadata=written))


def _effect(job, note):
    with job.atomic(), connections[job.fence.using].cursor() as cursor:
        # Nobody comes between the question and the answer while this attempt owns the job.
        cursor.execute(f"SELECT 1 FROM {TABLE} WHERE job = %s", [job.job.target_id])  # noqa: S608
        if cursor.fetchone() is None:
            note("ran", step=EFFECT)
            time.sleep(job.parameters["pause"])
            values = [job.job.target_id, job.job.attempt, time.monotonic()]
            cursor.execute(f"INSERT INTO {TABLE} VALUES (%s, %s, %s)", values)  # noqa: S608
            time.sleep(job.parameters["pause"])
    note("stored", step=EFFECT)
    _die_at("effect", job)


def _die_at(point, job):
    deaths = job.parameters["deaths"]
    if deaths.get(job.job.target_id) == point and job.job.attempt == 1:
        history.current().append("dying", job.job.target_id, 1, point=point)
        os.kill(os.getpid(), signal.SIGKILL)
