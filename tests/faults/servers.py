"""A real PostgreSQL of its own, for tests that stop it, kill it or fill it up, and ways to fail.

Each way to fail is a function of the server and one of Django's connections, and raises Django's
error.
"""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest
from django.conf import settings
from django.db import transaction
from psycopg.conninfo import make_conninfo

from example_project import postgres_programs
from example_project.embedded_postgres import EmbeddedPostgres
from tests.processes import wait_until

MAX_CONNECTIONS = 20
OPTIONS = {
    "deadlock_timeout": "200ms",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": str(MAX_CONNECTIONS),
}
GUARDED, PASSWORD = "guarded", "canary-password"  # the one role that needs a password

# The suite runs once for each kind of database; what brings its own needs to run only once.
_engine = settings.DATABASES["default"]["ENGINE"]
ON_POSTGRES = pytest.mark.skipif(
    not _engine.endswith("postgresql"), reason="brings its own server: runs with PostgreSQL's tests"
)
ON_SQLITE = pytest.mark.skipif(
    not _engine.endswith("sqlite3"), reason="brings its own SQLite files: runs with SQLite's tests"
)


def gone(pid):
    """Tell whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Server:
    """A PostgreSQL in `folder`, which must be reachable for other users when this is root."""

    def __init__(self, folder):
        self.data_dir = folder.resolve() / "postgres"
        self._embedded = EmbeddedPostgres(self.data_dir, options=OPTIONS)

    @property
    def url(self):
        return self._embedded.url

    @property
    def socket_dir(self):
        return parse_qs(urlsplit(self.url).query)["host"][0]

    @property
    def socket_path(self):
        return f"{self.socket_dir}/.s.PGSQL.5432"

    def settings(self, **more):
        """Return an entry for DATABASES."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "session_mgmt",
            "USER": "postgres",
            "HOST": self.socket_dir,
            "PORT": "5432",
            **more,
            "OPTIONS": {
                "sslmode": "disable",
                "gssencmode": "disable",
                "connect_timeout": 10,
                **more.get("OPTIONS", {}),
            },
        }

    def connect(self, **more):
        """Connect beside Django, in autocommit mode: an administrator, or somebody in the way."""
        return psycopg.connect(make_conninfo(self.url, connect_timeout=10), autocommit=True, **more)

    def execute(self, sql, parameters=None):
        """Run one statement as administrator and return its rows, if it has any."""
        with self.connect() as connection:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else None

    # Life and death of the server

    @property
    def postmaster(self):
        """The server's first process, or None."""
        return postgres_programs.postmaster(self.data_dir)

    def answers(self):
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self):
        """Start it unless it runs; either way it answers afterwards."""
        if not self.postmaster:
            self._embedded.stop()
            self._embedded.start()
        wait_until(self.answers)

    def stop(self, mode="fast"):
        """Stop it as `pg_ctl` does: "fast" breaks connections in good order, "immediate" does not.

        "smart" is no use here, because it waits for connections; see `send`.
        """
        log = self.data_dir.with_name("postgres.log")
        if self.postmaster:
            arguments = ["stop", "-D", self.data_dir, "-m", mode, "-w", "-t", "60"]
            postgres_programs.run("pg_ctl", *arguments, log=log)

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def send(self, number):
        """Send the postmaster a signal: SIGTERM is a smart stop, SIGKILL as good as a crash."""
        self.postmaster.send_signal(number)

    def leave(self):
        """Stop it for good."""
        self._embedded.stop()

    # Life and death of its connections

    def backend_pids(self):
        """Return the processes that serve clients, without the one that was asked."""
        rows = self.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in rows}

    def terminate(self, pid):
        """End one connection as an administrator does, and wait until it has gone."""
        self.execute("SELECT pg_terminate_backend(%s)", [pid])
        wait_until(lambda: gone(pid))

    def kill_backend(self, pid):
        """Kill one connection's process, upon which the server throws all others out."""
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: gone(pid))

    def wait_until_locked(self, pid):
        """Wait until this connection waits for a lock."""
        sql = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        wait_until(lambda: self.execute(sql, [pid]))

    # What tests find in it

    def prepare(self):
        """Once: make the role GUARDED, whose password is PASSWORD; all others need none."""
        rules = self.data_dir / "pg_hba.conf"
        text = rules.read_text(encoding="utf-8")
        rules.write_text(f"local all {GUARDED} scram-sha-256\n{text}", encoding="utf-8")
        self.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
        self.execute("SELECT pg_reload_conf()")
        wait_until(self._is_guarded)

    def _is_guarded(self):
        try:
            self.connect(user=GUARDED, password="none of that").close()
        except psycopg.OperationalError:
            return True
        return False

    def reset(self):
        """Throw out whoever was left behind, and make the table of a test: rows 1 and 2, at 0."""
        for pid in self.backend_pids():
            with suppress(psycopg.Error):
                self.terminate(pid)
        self.execute("DROP TABLE IF EXISTS fault_row")
        self.execute("CREATE TABLE fault_row (id integer PRIMARY KEY, number integer NOT NULL)")
        self.execute("INSERT INTO fault_row VALUES (1, 0), (2, 0)")
        self.execute(f"GRANT ALL ON fault_row TO {GUARDED}")

    def numbers(self):
        """Return the table as a dictionary."""
        return dict(self.execute("SELECT id, number FROM fault_row"))


# A session of Django's, to provoke errors in

READ = "SELECT sum(number) FROM fault_row"
WRITE = "UPDATE fault_row SET number = number + 1 WHERE id = %s"
LOCK = "SELECT id FROM fault_row WHERE id = %s FOR UPDATE"


def run(connection, sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchone() if cursor.description else None


def pid_of(connection):
    return run(connection, "SELECT pg_backend_pid()")[0]


def atomic(connection):
    return transaction.atomic(using=connection.alias)


def works(connection):
    return run(connection, "SELECT 1") == (1,)


# Conflicts


def update_what_changed_since(level):
    def provoke(server, connection):
        with atomic(connection):
            run(connection, f"SET TRANSACTION ISOLATION LEVEL {level}")
            run(connection, READ)
            server.execute(WRITE, [1])
            run(connection, WRITE, 1)

    return provoke


def deadlock(server, connection):
    with server.connect() as other, ThreadPoolExecutor(1) as thread, atomic(connection):
        other.execute("SET deadlock_timeout = '1min'")
        other.execute("BEGIN")
        other.execute(LOCK, [2])
        run(connection, LOCK, 1)
        thread.submit(other.execute, LOCK, [1])
        server.wait_until_locked(other.info.backend_pid)
        run(connection, LOCK, 2)


@contextmanager
def locked(server):
    with server.connect() as other, other.transaction():
        other.execute(LOCK, [1])
        yield


def nowait(server, connection):
    with locked(server), atomic(connection):
        run(connection, f"{LOCK} NOWAIT", 1)


def lock_timeout(server, connection):
    with locked(server), atomic(connection):
        run(connection, "SET LOCAL lock_timeout = '20ms'")
        run(connection, LOCK, 1)


# Ways to lose a connection that is there


def terminated_while_idle(server, connection):
    server.terminate(pid_of(connection))
    works(connection)


def terminated_in_a_transaction(server, connection):
    with atomic(connection):
        run(connection, WRITE, 1)
        server.terminate(pid_of(connection))
        run(connection, WRITE, 2)


def terminated_in_a_statement(server, connection):
    run(connection, "SELECT pg_terminate_backend(pg_backend_pid())")


def idle_session(server, connection):
    pid = pid_of(connection)
    run(connection, "SET idle_session_timeout = '20ms'")
    wait_until(lambda: gone(pid))
    works(connection)


def idle_in_a_transaction(name):
    def provoke(server, connection):
        with atomic(connection):
            pid = pid_of(connection)
            run(connection, f"SET LOCAL {name} = '20ms'")
            wait_until(lambda: gone(pid))
            works(connection)

    provoke.__name__ = name
    return provoke


def stopped(mode):
    def provoke(server, connection):
        works(connection)
        server.stop(mode)
        works(connection)

    provoke.__name__ = f"stopped_{mode}"
    return provoke


def postmaster_killed(server, connection):
    pid = pid_of(connection)
    server.send(signal.SIGKILL)
    wait_until(lambda: gone(pid))
    works(connection)


def backend_killed(server, connection):
    server.kill_backend(pid_of(connection))
    works(connection)


def backend_of_another_killed(server, connection):
    pid = pid_of(connection)
    with server.connect() as other:
        server.kill_backend(other.info.backend_pid)
        wait_until(lambda: gone(pid))
    works(connection)


def closed_before(server, connection):
    works(connection)
    connection.connection.close()
    works(connection)


# Ways not to get one; each gives what must be said in the entry of DATABASES


@contextmanager
def server_stopped(server, proxy):
    server.stop()
    yield {}


@contextmanager
def server_full(server, proxy):
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(server.connect())
        yield {}


@contextmanager
def server_shutting_down(server, proxy):
    with server.connect():  # a smart stop waits for it, and lets nobody else in
        server.send(signal.SIGTERM)
        wait_until(lambda: not server.answers())
        yield {}
    wait_until(lambda: not server.postmaster)


@contextmanager
def proxy_refusing(server, proxy):
    with proxy.refusing():
        yield proxy.address


@contextmanager
def wrong_password(server, proxy):
    yield {"USER": GUARDED, "PASSWORD": "wrong"}


@contextmanager
def unknown_database(server, proxy):
    yield {"NAME": "nowhere"}
