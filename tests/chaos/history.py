"""The history that processes write: what they did and when, in one file that survives kill -9.

Each event is a line of JSON and one write. `at` is the monotonic clock, which all processes of a
machine share.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from pathlib import Path


class History:
    """The file, for those who write it and for one who follows it."""

    def __init__(self, path):
        self.path = Path(path)
        self.events = []
        self._position = 0

    def append(self, what, job, attempt=0, **more):
        """Add an event, which is on the disk when this returns."""
        event = {"what": what, "job": job, "attempt": attempt, **more}
        line = json.dumps(event | {"at": time.monotonic(), "pid": os.getpid()})
        with _opened(self.path) as file:
            os.write(file, f"{line}\n".encode())
            os.fsync(file)

    def follow(self):
        """Read what was added since the last time, and return all events."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._position)
                # A line that is being written is read the next time.
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._position += len(whole) + 1
                self.events += [json.loads(line) for line in whole.splitlines()]
        return self.events

    def of(self, prefix):
        """Return the events of the jobs whose names begin so."""
        return [event for event in self.follow() if event["job"].startswith(prefix)]


def current():
    """Return the history of this process, which its environment names."""
    return History(os.environ["CHAOS_HISTORY"])


@contextmanager
def _opened(path):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        yield file
    finally:
        os.close(file)
