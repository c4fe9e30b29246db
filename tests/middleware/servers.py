"""Run the tests' site on real servers and speak to it over their sockets."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ROOT, environment, wait_until

COMMANDS = {
    "uvicorn": [
        "uvicorn", "example_project.asgi:application",
        "--uds", "{socket}", "--no-access-log", "--log-level", "warning",
    ],
    "gunicorn": [
        "gunicorn", "example_project.wsgi:application", "--bind", "unix:{socket}",
        "--worker-class", "gthread", "--threads", "{threads}", "--log-level", "warning",
        "--no-control-socket",
    ],
}  # fmt: skip


class Answer:
    """What came back: status, headers, text."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    def json(self):
        return json.loads(self.text)


class Connection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


class Site:
    """A server process that serves the tests' site; `kind` is a key of COMMANDS."""

    def __init__(self, kind, folder, threads, variables):
        self.kind = kind
        self.name = f"test-site-{Path(folder).name}"
        self._socket = f"{folder}/http"
        self._log = Path(folder, "log")
        words = [word.format(socket=self._socket, threads=threads) for word in COMMANDS[kind]]
        settings = {"DJANGO_SETTINGS_MODULE": "tests.middleware.settings", "PGAPPNAME": self.name}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                env=environment(**settings, **variables),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answers(self):
        assert self.process.poll() is None, self.log()
        try:
            return self.get("/no_query/").status == 200
        except OSError:
            return False

    def log(self):
        return self._log.read_text(encoding="utf-8")

    @contextmanager
    def logged(self):
        """Yield a function that returns what the server wrote since the block was entered."""
        before = len(self.log())
        yield lambda: self.log()[before:]

    @contextmanager
    def sending(self, method, path, *, body=None, headers=None, timeout=30.0):
        """Send a request and yield the connection, nothing read yet."""
        connection = Connection(self._socket, timeout)
        try:
            connection.request(method, path, body, headers or {})
            yield connection
        finally:
            connection.close()

    def request(self, method, path, **more):
        """Return the answer; every answer must say that nothing was left on a connection."""
        with self.sending(method, path, **more) as connection:
            answer = Answer(connection.getresponse())
        assert answer.headers["X-Leftovers"] == "[]", (path, answer.headers["X-Leftovers"])
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@contextmanager
def serving(kind, threads=8, **variables):
    """Yield a site while the block runs; the variables go to its environment."""
    folder = tempfile.mkdtemp(prefix="site-", dir="/tmp")  # a socket's path must be short
    site = Site(kind, folder, threads, variables)
    try:
        wait_until(site.answers)
        yield site
    finally:
        site.stop()
        shutil.rmtree(folder)
