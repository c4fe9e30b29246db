"""Install the peers, each in its newest release, where they disturb nothing of the project."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["python_with_peers"]

# What ours needs is installed in the same versions as here.
_OURS = ("Django", "django-environ", "django-tasks", "psycopg", "psycopg-binary", "pydantic")
_PEERS = (
    "procrastinate",
    "pgqueuer",
    "asyncpg",
    "django-tasks-db",
    "celery[redis]",
    "psycopg-pool",
)


def python_with_peers(folder: Path) -> Path:
    """Return the interpreter of the environment in `folder`; make it at the first time."""
    python = folder / "bin" / "python"
    wanted = [f"{name}=={version(name)}" for name in _OURS] + list(_PEERS)
    finished = folder / "finished"
    if finished.exists() and finished.read_text(encoding="utf-8") == "\n".join(wanted):
        return python
    print(f"Installing the peers into {folder}", flush=True)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # our own
        if done.returncode:
            sys.exit(
                f"The peers cannot be installed, so there is nothing to compare with.\n"
                f"{' '.join(command)}\n{done.stderr[-2000:]}"
            )
    finished.write_text("\n".join(wanted), encoding="utf-8")
    return python
