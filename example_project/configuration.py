"""Turns what the environment says into values for `settings`; it knows no Django setting."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import environ

__all__ = ["database", "demo_secret_key"]


def database(url: str, base_dir: Path) -> dict[str, Any]:
    """Return the `DATABASES` entry for a URL; a relative SQLite path starts at `base_dir`."""
    entry: dict[str, Any] = environ.Env.db_url_config(url)
    if entry["ENGINE"] == "django.db.backends.sqlite3":
        if entry["NAME"] != ":memory:":
            entry["NAME"] = str(base_dir / entry["NAME"])
        entry["OPTIONS"] = {
            # A transaction that reads first and writes later would fail at once, not wait.
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        } | entry.get("OPTIONS", {})
    else:
        entry["CONN_HEALTH_CHECKS"] = True
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
