"""The engines under test: what their settings are, and what runs a worker of each."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from tests.engines.brokers import kill_tree
from tests.processes import running

RQ_BACKEND = "django_tasks_rq.RQBackend"
DRAINING_WORKER = "session_mgmt.jobs.rq.DrainingWorker"
CELERY_ENGINE = "session_mgmt.jobs.celery.CeleryEngine"


@dataclass(frozen=True)
class Setup:
    """One engine.

    Attributes:
        settings: what a project that uses it has in its settings.
        worker: arguments of Python that run a worker, which does one task at a time.
        keeps_order: whether it minds priorities.
    """

    name: str
    settings: dict
    worker: tuple[str, ...]
    keeps_order: bool = True


def database():
    settings = {"TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}}
    worker = ("manage.py", "db_worker", "--interval", "0.1", "--no-startup-delay")
    return Setup("database", settings, worker)


def rq(port, number=0):
    queue = {"HOST": "127.0.0.1", "PORT": port, "DB": number, "DEFAULT_TIMEOUT": 3600}
    settings = {
        "TASKS": {"default": {"BACKEND": RQ_BACKEND}},
        "RQ_QUEUES": {"default": queue},
        "INSTALLED_APPS": ["django_rq"],
    }
    classes = ("--worker-class", DRAINING_WORKER, "--job-class", "django_tasks_rq.Job")
    return Setup(
        "rq", settings, ("manage.py", "rqworker", *classes, "--with-scheduler"), keeps_order=False
    )


def celery(name, url):
    settings = {
        "SESSION_MGMT": {"JOB_ENGINE": CELERY_ENGINE},
        "CELERY_BROKER_URL": url,
        "CELERY_WORKER_PREFETCH_MULTIPLIER": 1,
        "CELERY_TASK_QUEUE_MAX_PRIORITY": 10,
    }
    app = ("-m", "celery", "-A", "tests.engines.project", "worker")
    quick = ("--without-mingle", "--without-gossip")
    return Setup(name, settings, (*app, "-c", "1", "-l", "warning", *quick))


class Worker:
    """A worker process that a test may kill or stop; the next one that needs it starts another."""

    def __init__(self, setup):
        self.setup = setup
        self._stack = ExitStack()
        self.process = None

    def ensure(self):
        """Start the worker unless it runs; what ended it comes to light where it is waited for."""
        if self.process is None or self.process.poll() is not None:
            self._stack.close()
            more = {
                "DJANGO_SETTINGS_MODULE": "tests.engines.project.settings",
                "TEST_ENGINE": json.dumps(self.setup.settings),
                # Checks import the engine too, but a project may skip them.
                "CELERY_SKIP_CHECKS": "1",
                # Celery warns of being root, as it is in a container.
                "PYTHONWARNINGS": "error,ignore:You're running the worker",
            }
            self.process = self._stack.enter_context(running(*self.setup.worker, **more))

    def kill(self):
        """Kill it and all its children with -9."""
        if self.process is not None:
            kill_tree(self.process.pid)
            self._stack.close()

    def stop(self):
        """Stop it by SIGTERM, and kill what has not gone after a while."""
        if self.process is None or self.process.poll() is not None:
            return
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            for child in children:
                kill_tree(child.pid)
            self._stack.close()
