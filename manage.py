#!/usr/bin/env python
"""Runs Django's commands for the example site, with a database even where none is configured.

Without a SECRET_KEY in the environment this is the demo; without a DATABASE_URL the database is
the embedded PostgreSQL, found running or started, and stopped again by the last who uses it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

# Commands that ask the database nothing, and so need not wait for it.
_WITHOUT_DATABASE = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "makemessages",
    "startapp",
    "startproject",
    "version",
}


def _needs_database(arguments: list[str]) -> bool:
    asks_for_help = {"-h", "--help", "--version"} & set(arguments)
    return bool(arguments) and not asks_for_help and arguments[0] not in _WITHOUT_DATABASE


def _provide_database() -> None:
    # Imported late: it needs the demo's packages, which a configured site need not have.
    from example_project.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError

    server = EmbeddedPostgres(Path(__file__).resolve().parent / "var" / "postgres")
    try:
        os.environ["DATABASE_URL"] = server.start()
    except EmbeddedPostgresError as error:
        sys.exit(str(error))
    atexit.register(server.stop)
    # SIGTERM would otherwise end the process without `atexit`, and leave the server running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    if "SECRET_KEY" not in os.environ:
        os.environ.setdefault("SESSION_MGMT_DEMO", "1")
        if not os.environ.get("DATABASE_URL") and _needs_database(sys.argv[1:]):
            _provide_database()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
