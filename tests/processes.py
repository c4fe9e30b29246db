"""Run functions in real processes, on the database of the test that calls."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def environment(**more):
    """Return the environment of a process that shares this test's database and files."""
    from django.db import connection

    return os.environ | {
        "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "PYTHONWARNINGS": "error",
        **more,
    }


def in_processes(function, argument_lists, timeout=120, **more):
    """Call a module's function once in a process for each list of arguments, all at one moment.

    Arguments and results travel as JSON.
    """
    command = [sys.executable, "-m", "tests.processes", function.__module__, function.__name__]
    started = [
        subprocess.Popen(
            [*command, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(**more),
        )
        for arguments in argument_lists
    ]
    try:
        for process in started:
            assert process.stdout.readline() == "ready\n"
        moment = time.time() + 0.1
        for process in started:
            process.stdin.write(f"{moment}\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=timeout)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0] * len(started)
    return [json.loads(output) for output in outputs]


@contextmanager
def running(*arguments, **more):
    """Run `python ARGUMENTS` while the block runs, and kill what is left of it then."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment(**more))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition, timeout=30.0):
    """Wait until the condition gives something true, and return that."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true in {timeout} s"
        time.sleep(0.02)
    return value


def started_at():
    """Return the moment at which all processes of `in_processes` began; seconds since 1970."""
    return float(os.environ["STARTED_AT"])


def _main(module, name, arguments):
    import django
    from django.db import connection

    django.setup()
    function = getattr(importlib.import_module(module), name)
    connection.ensure_connection()
    print("ready", flush=True)
    os.environ["STARTED_AT"] = sys.stdin.readline()
    time.sleep(max(0.0, started_at() - time.time()))
    print(json.dumps(function(*json.loads(arguments))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
