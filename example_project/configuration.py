"""Turns what the environment says into values for `settings`; it knows no Django setting."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from session_mgmt.db.pool import database_config

__all__ = ["database", "demo_secret_key"]


def database(url: str, base_dir: Path) -> dict[str, Any]:
    """Return the `DATABASES` entry for a URL; a relative SQLite path starts at `base_dir`.

    Each process keeps one connection and has 15 at most, so that the demo's four leave room on a
    server that allows 100. The DB_POOL_* variables decide otherwise.
    """
    entry = database_config(os.environ | {"DATABASE_URL": url}, pool_size=1, max_overflow=14)
    if entry["ENGINE"] == "django.db.backends.sqlite3" and entry["NAME"] != ":memory:":
        entry["NAME"] = str(base_dir / entry["NAME"])
    return entry


def demo_secret_key(path: Path) -> str:
    """Return the key kept in `path`, made at first use; every process gets the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_name(f"{path.name}.{os.getpid()}")
        with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
        with suppress(FileExistsError):
            os.link(own, path)  # whole or not at all, and the first one wins
        own.unlink()
    return path.read_text(encoding="ascii")
