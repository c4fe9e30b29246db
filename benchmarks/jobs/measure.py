"""Compare everything in the environment of the peers; `benchmarks.jobs` starts this."""

from __future__ import annotations

import argparse
import asyncio
import platform
import signal
from importlib.metadata import version


def main() -> None:
    """Create the tables of all contenders, then do what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operations", nargs="+")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the workers are to end, too
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    connections.close_all()  # the clients are forked, and a connection cannot be shared
    from benchmarks.jobs import claim, creation, growth, systems, whole_way

    asyncio.run(systems.install())
    show_versions()
    operations = {
        "creation": creation.creation,
        "bulk": creation.bulk,
        "claim": claim.claim,
        "run": whole_way.whole_way,
        "growth": growth.growth,
    }
    for name in arguments.operations:
        operations[name](arguments.repeats, 0.1 if arguments.quick else 1.0)


def show_versions() -> None:
    """Print what is compared."""
    names = ("Django", "psycopg", "procrastinate", "pgqueuer", "django-tasks-db", "celery")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    print(f"Python {platform.python_version()}, {versions}")
    print("Medians, in brackets the middle half of the repeats; then the median ratio to the limit")


if __name__ == "__main__":
    main()
