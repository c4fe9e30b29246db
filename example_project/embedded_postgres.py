"""Gives the demo and the tests a PostgreSQL server that needs no installation and no root.

Any number of processes may use one data folder at the same time. Each holds a shared lock on the
file `<folder>.users`; who can have it exclusively when leaving is the last and stops the server.
The kernel drops the locks of killed processes, so the count cannot go stale.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import quote

import psycopg

from example_project.locks import exclusive, share, try_exclusive
from example_project.postgres_programs import (
    VERSION,
    EmbeddedPostgresError,
    give_to_server,
    postmaster,
    run,
    server_uid,
    tail,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_DATABASE: Final = "session_mgmt"
_PORT: Final = 5432  # of the socket's name; nothing listens on TCP
_LONGEST_SOCKET_PATH: Final = 103  # macOS; Linux has 107
_PATIENCE: Final = 60.0  # seconds, for a server that recovers or another process that starts it


class EmbeddedPostgres:
    """A server on `data_dir`, shared by all processes that name the same folder.

    It listens on a UNIX socket in a folder that only its user may enter, never on TCP.

    Args:
        data_dir: made when missing; files whose names begin alike are kept beside it.
        options: server parameters; they count for the process that really starts the server.
    """

    def __init__(self, data_dir: Path, *, options: Mapping[str, str] | None = None) -> None:
        self._data_dir = data_dir.resolve()
        self._options = dict(options or {})
        self._log = self._beside(".log")
        self._users: IO[str] | None = None
        self._started_by = os.getpid()

    @property
    def url(self) -> str:
        """The database's URL, for django-environ and libpq; it is known before the start."""
        return self._url_of(_DATABASE)

    def start(self) -> str:
        """Find the server running or start it, make the database if missing, return its URL.

        Raises:
            EmbeddedPostgresError: it cannot be used; the message says why.
        """
        if self._users is not None and self._started_by == os.getpid():
            return self.url
        self._data_dir.parent.mkdir(parents=True, exist_ok=True)
        users = self._open(".users")
        with self._alone():
            share(users)
            self._users, self._started_by = users, os.getpid()
            try:
                self._ensure_cluster()
                self._ensure_running()
                self._ensure_database()
            except BaseException:
                self._leave()
                raise
        return self.url

    def stop(self) -> None:
        """Leave the server; the last to leave stops it. Harmless when it never started."""
        if self._started_by == os.getpid() and self._data_dir.parent.is_dir():
            with self._alone():
                self._leave()

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the server."""
        self.stop()

    def _leave(self) -> None:
        users = self._users or self._open(".users")
        self._users = None
        with users:
            if not try_exclusive(users):
                return
            if postmaster(self._data_dir):
                self._pg_ctl("stop", "-m", "fast")
            if self._socket_dir != self._data_dir:
                with suppress(OSError):
                    self._socket_dir.rmdir()

    def _ensure_cluster(self) -> None:
        version = self._data_dir / "PG_VERSION"
        if self._data_dir.exists() and self._data_dir.stat().st_uid not in {0, server_uid()}:
            raise _foreign(self._data_dir)
        if version.exists():
            found = version.read_text(encoding="ascii").strip()
            if found != VERSION:
                raise EmbeddedPostgresError(
                    f"{self._data_dir} was written by PostgreSQL {found}, this is {VERSION}: "
                    "move the folder away, or set DATABASE_URL"
                )
            return
        # A killed initdb leaves a folder that looks finished, so it works under another name.
        new = self._beside(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        give_to_server(new)
        arguments = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"]
        arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._options.get("fsync") == "off":
            arguments.append("--no-sync")
        run("initdb", *arguments, "-D", new, log=self._log)
        new.rename(self._data_dir)

    def _ensure_running(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if not postmaster(self._data_dir):
                try:
                    self._launch()
                except EmbeddedPostgresError as error:
                    # The children of a killed server need a moment to notice and go.
                    if "still in use" not in str(error) or time.monotonic() > deadline:
                        raise
            elif time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL does not answer. The end of {self._log}:\n{tail(self._log)}"
                )
            time.sleep(0.1)

    def _launch(self) -> None:
        if self._socket_dir != self._data_dir:
            _make_private(self._socket_dir)
        (self._data_dir / "postmaster.pid").unlink(missing_ok=True)
        (self._socket_dir / f".s.PGSQL.{_PORT}.lock").unlink(missing_ok=True)
        self._log.write_bytes(b"")
        give_to_server(self._log)
        options = {"listen_addresses": "", "port": str(_PORT)} | self._options
        options["unix_socket_directories"] = str(self._socket_dir)
        words = [f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items()]
        self._pg_ctl("start", "-l", self._log, "-o", " ".join(words))

    def _pg_ctl(self, action: str, *arguments: str | Path) -> None:
        run("pg_ctl", action, "-D", self._data_dir, "-w", "-t", "60", *arguments, log=self._log)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._url_of("postgres"), connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def _ensure_database(self) -> None:
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [_DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {_DATABASE}")

    @property
    def _socket_dir(self) -> Path:
        socket = os.fsencode(self._data_dir / f".s.PGSQL.{_PORT}")
        # PostgreSQL reads a comma as the beginning of a second folder.
        if len(socket) <= _LONGEST_SOCKET_PATH and b"," not in socket:
            return self._data_dir
        digest = hashlib.sha256(os.fsencode(self._data_dir)).hexdigest()[:16]
        # Not TMPDIR: it differs between processes that must meet here, and may be long itself.
        short = Path("/tmp")  # noqa: S108 # _make_private refuses a folder that somebody else made
        folder = short if short.is_dir() else Path(tempfile.gettempdir())
        return folder / f"session_mgmt-{os.geteuid()}-{digest}"

    def _url_of(self, database: str) -> str:
        host = quote(str(self._socket_dir), safe="")
        return f"postgres://postgres@/{database}?host={host}&port={_PORT}"

    def _beside(self, suffix: str) -> Path:
        return self._data_dir.with_name(self._data_dir.name + suffix)

    def _open(self, suffix: str) -> IO[str]:
        path = self._beside(suffix)
        try:
            return path.open("a", encoding="ascii")
        except PermissionError as error:
            raise _foreign(path) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Start or stop while no other process does."""
        path = self._beside(".lock")
        try:
            with exclusive(path, 2 * _PATIENCE):
                yield
        except TimeoutError as error:
            raise EmbeddedPostgresError(f"{error}: does it hang?") from error


def _foreign(path: Path) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"{path} belongs to another user: remove it as that user, or set DATABASE_URL"
    )


def _make_private(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    trusted = stat.S_ISDIR(found.st_mode) and found.st_uid in {os.geteuid(), server_uid()}
    if not trusted or found.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{folder} is not a private folder of this user: remove it, or set DATABASE_URL"
        )
    give_to_server(folder)
