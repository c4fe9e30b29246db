"""Measure one operation; `benchmarks.objects` starts this."""

from __future__ import annotations

import argparse
import platform
from contextlib import suppress
from importlib.metadata import version

import psycopg

from benchmarks.jobs.racing import sql


def main() -> None:
    """Create the tables, then do what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operation")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, required=True)
    arguments = parser.parse_args()
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    with suppress(psycopg.errors.DuplicateDatabase):
        sql("CREATE DATABASE large")
    for alias in ("default", "large"):
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
    connections.close_all()  # some of the clients are forked
    from benchmarks.objects import absorb, commits, contention, creation, growth, loads

    operations = {
        "absorb": absorb.absorb,
        "commit": commits.commits,
        "create": creation.creation,
        "load": loads.loads,
        "contend": contention.contention,
        "growth": growth.growth,
    }
    if arguments.operation == "absorb":
        names = ("Django", "psycopg", "pydantic")
        versions = ", ".join(f"{name} {version(name)}" for name in names)
        print(f"Python {platform.python_version()}, {versions}, synchronous_commit=on")
    operations[arguments.operation](arguments.repeats, 0.1 if arguments.quick else 1.0)


if __name__ == "__main__":
    main()
