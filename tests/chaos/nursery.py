"""Starts processes in milliseconds: one that has Django loaded forks them.

Two hundred rounds kill hundreds of workers, and starting Python anew would take most of the time.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import traceback

import psutil

from tests.processes import ROOT


class Nursery:
    """The process that forks, as the test sees it."""

    def __init__(self, log, **environment):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery", str(log)],
            cwd=ROOT,
            env=os.environ
            | {"DJANGO_SETTINGS_MODULE": "tests.chaos.settings", "PYTHONWARNINGS": "error"}
            | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def start(self, program, environment=None, **arguments):
        """Start one of `programs` and return its number."""
        order = {"program": program, "environment": environment or {}, "arguments": arguments}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self):
        """End it; it kills those that it has forked."""
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


def main(log):
    """Fork as told on the standard input, until it is closed."""
    import django

    django.setup()
    from tests.chaos import mutations, programs  # noqa: F401 # loaded once for all

    gc.freeze()  # what is loaded stays, so the children need not copy it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    _answer("ready")
    try:
        for line in sys.stdin:
            pid = os.fork()
            if pid == 0:
                _be_child(json.loads(line), log)
            _answer(pid)
    finally:
        for child in psutil.Process().children():
            child.kill()


def _answer(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _be_child(order, log):
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(order["environment"])
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for number in (1, 2):
            os.dup2(output, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from tests.chaos import mutations, programs

        mutations.apply(os.environ.get("CHAOS_MUTATION"))
        getattr(programs, order["program"])(**order["arguments"])
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # what the parent has to do at its exit is not the child's


if __name__ == "__main__":
    main(*sys.argv[1:])
