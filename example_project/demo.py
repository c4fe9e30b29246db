"""Runs the whole site on one machine with one command: database, web server, worker, rescuer."""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NoReturn

import django
from django.core.management import call_command
from django.db import Error as DatabaseError
from django.db import connections

from example_project.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from example_project.preflight import HOST, VAR_DIR, RefusedError, claim, parse_port
from example_project.supervisor import KeepsDyingError, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stop(*_: object) -> NoReturn:
    # A second Ctrl-C must not cut the orderly stop short.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _database() -> Iterator[None]:
    """Point DATABASE_URL at the embedded server, unless it names a database already."""
    server = None if os.environ.get("DATABASE_URL") else EmbeddedPostgres(VAR_DIR / "postgres")
    with server or nullcontext():
        if server:
            print("The database is a PostgreSQL of its own, in var/postgres.")
            os.environ["DATABASE_URL"] = server.url
        yield


def _set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    os.environ["SESSION_MGMT_DEMO"] = "1"
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ.setdefault("STORYBOARD_SECONDS_PER_SCENE", "1.0")
    django.setup()
    from example_project.demo_users import ensure_demo_users  # its models need the set-up

    call_command("migrate", interactive=False, verbosity=0)
    ensure_demo_users()
    connections.close_all()


def _answer(port: int) -> int | None:
    """Return the status of the front page, None while nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _announce(port: int, status: int) -> None:
    print(f"\nThe storyboard demo runs at  http://{HOST}:{port}/")
    print("Log in as demo, password demo; or as admin, password admin, for /admin/ too.")
    print("Ctrl-C stops it.\n")
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        print(f"But its front page answers with status {status}: see above.")


def _run(port: int) -> NoReturn:
    with claim(port) as listener, _database():
        _set_up()
        commands = {
            "web server": ["web", str(listener.fileno())],
            "worker": ["db_worker", "--interval", "0.2", "--no-startup-delay", "--no-reload"],
            "rescuer": ["rescue_jobs", "--interval", "2"],
        }
        with Supervisor(commands, [listener.fileno()]) as supervisor:
            announced = False
            while True:
                supervisor.check()
                if not announced and (status := _answer(port)):
                    _announce(port, status)
                    announced = True
                time.sleep(0.2)


def main() -> int:
    """Run until Ctrl-C or SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description=__doc__)
    parser.add_argument("--port", default="8000")
    port = parser.parse_args().port
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # a TextIOWrapper here
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        _run(parse_port(port))
    except RefusedError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (EmbeddedPostgresError, KeepsDyingError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except DatabaseError as error:
        sys.stderr.write(f"The database that DATABASE_URL names cannot be used: {error}\n")
        return 1
    except KeyboardInterrupt:
        print("The demo has stopped.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
