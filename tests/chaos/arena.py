"""Where the chaos takes place: a database, a broker, workers, and who hurts and heals them."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import suppress

import psutil
import redis

from example_project.embedded_postgres import EmbeddedPostgres
from tests.chaos.broker import stop_workers
from tests.chaos.history import History
from tests.chaos.nursery import Nursery
from tests.chaos.settings import LEASE
from tests.faults.servers import OPTIONS, Server, gone
from tests.processes import wait_until

WORKERS = 3
PATIENCE = 45.0  # seconds until everything that was asked for must be done


class ChaosServer(Server):
    """A PostgreSQL with room for workers that are stopped and those in their place."""

    def __init__(self, folder):
        super().__init__(folder)
        options = OPTIONS | {"max_connections": "100"}
        self._embedded = EmbeddedPostgres(self.data_dir, options=options)

    def kill(self):
        """Kill all its processes at once."""
        family = [self.postmaster, *self.postmaster.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_until(lambda: all(gone(process.pid) for process in family))


class Arena:
    """All processes of one campaign, which is many rounds of one fault.

    Args:
        folder: for the histories and the log.
        url: of the database.
        redis_port: of the broker.
        server: the PostgreSQL that may be killed; None where there is none.
    """

    def __init__(self, folder, url, redis_port, server=None):
        self.server = server
        self.log = folder / "processes.log"
        self.broker = redis.Redis(port=redis_port)
        self.random = random.Random()
        self._folder = folder
        self._nursery = Nursery(self.log, DATABASE_URL=url, CHAOS_REDIS_PORT=str(redis_port))
        self._environment = {}
        self._workers = set()
        self._sleepers = []
        self._rescuer = None
        self.run("prepare")

    def close(self):
        self._nursery.close()
        self.broker.close()

    # A campaign

    def open(self, name, delivery="once", mutation=""):
        """Start the workers and the rescuer of a campaign."""
        self.broker.flushall()
        self.history = History(self._folder / f"{name}.jsonl")
        self.history.path.unlink(missing_ok=True)
        self._environment = {
            "CHAOS_HISTORY": str(self.history.path),
            "CHAOS_NAME": name,
            "CHAOS_DELIVERY": delivery,
            "CHAOS_MUTATION": mutation,
        }
        self._rescuer = self.start("rescuer")
        self.tend()

    def settle(self, patience=PATIENCE):
        """Wait until all jobs have ended, or for so many seconds."""
        name = self._environment["CHAOS_NAME"]
        settling = self.start("settle", prefix=name, patience=patience)
        while not gone(settling):
            self.tend()
            time.sleep(0.05)

    def end(self, patience=PATIENCE):
        """Wait until all is quiet, stop everybody, and return what is in the database."""
        self.settle(patience)
        wait_until(lambda: self.tend() or not self._sleepers)
        # Whoever slept finds out first what happened meanwhile.
        stop_workers(self.broker, len(self._workers))
        wait_until(lambda: all(map(gone, self._workers)))
        self._workers.clear()
        self.kill(self._rescuer)
        path = self._folder / "found.json"
        path.unlink(missing_ok=True)
        self.run("dump", prefix=self._environment["CHAOS_NAME"], path=str(path))
        return json.loads(path.read_text(encoding="utf-8"))

    def tend(self):
        """Replace the workers that died, and wake those that slept for long enough."""
        for pid, wake_at in [*self._sleepers]:
            if time.monotonic() >= wake_at:
                os.kill(pid, signal.SIGCONT)
                self._sleepers.remove((pid, wake_at))
        self._workers = {pid for pid in self._workers if not gone(pid)}
        for _ in range(WORKERS + len(self._sleepers) - len(self._workers)):
            self._workers.add(self.start("worker"))

    # Processes

    def start(self, program, environment=None, **arguments):
        return self._nursery.start(program, self._environment | (environment or {}), **arguments)

    def run(self, program, **arguments):
        """Let a program run to its end."""
        pid = self.start(program, **arguments)
        wait_until(lambda: gone(pid))

    def kill(self, pid, number=signal.SIGKILL):
        """Send a signal, upon which the process ends; whether it was still there."""
        there = not gone(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        wait_until(lambda: gone(pid))
        return there

    def put_to_sleep(self, pid):
        """Stop a process for longer than its lease."""
        os.kill(pid, signal.SIGSTOP)
        self._sleepers.append((pid, time.monotonic() + LEASE + 0.8))

    def pause(self, most):
        time.sleep(self.random.uniform(0, most))

    # Jobs

    def ask(
        self, jobs, delivery=None, wait=True, max_retries=None, has_session=False, **parameters
    ):
        """Have a web process ask for jobs; return its number."""
        wanted = {"steps": 2, "pause": 0.005, "fails": False, "deaths": {}} | parameters
        pid = self.start(
            "web",
            {} if delivery is None else {"CHAOS_DELIVERY": delivery},
            targets=jobs,
            parameters=wanted,
            max_retries=max_retries,
            has_session=has_session,
        )
        if wait:
            wait_until(lambda: gone(pid))
        return pid

    def wait_for(self, what, jobs):
        """Wait until the history tells this of one of the jobs, and return the event."""

        def found():
            self.tend()
            for event in self.history.follow():
                if event["what"] == what and event["job"] in jobs:
                    return event
            return None

        return wait_until(found)

    def under_way(self, jobs):
        """Return the attempts of these jobs that have begun and not ended, as the history says."""
        begun, ended = (
            {
                (event["job"], event["attempt"])
                for event in self.history.follow()
                if event["what"] == what
            }
            for what in ("begin", "end")
        )
        return {attempt for attempt in begun - ended if attempt[0] in jobs}

    def count(self, what, prefix):
        return sum(event["what"] == what for event in self.history.of(prefix))
