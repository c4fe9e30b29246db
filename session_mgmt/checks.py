"""System checks: tell at start-up what would otherwise fail at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.db import connections
from django.utils.module_loading import import_string

from session_mgmt.conf import SETTING, configuration_problems, get_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.apps import AppConfig

__all__ = ["check_settings", "check_sqlite"]

_SQLITE_PATIENCE: Final = 20  # seconds


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Check the `SESSION_MGMT` setting (E001) and that its job engine can be imported (E002)."""
    problems = configuration_problems()
    if problems:
        return [
            Error(problem, hint=f"Mend {SETTING} in your settings.", id="session_mgmt.E001")
            for problem in problems
        ]
    path = get_settings().JOB_ENGINE
    try:
        import_string(path)
    except ImportError as error:
        return [
            Error(
                f"{SETTING}['JOB_ENGINE'] cannot be imported: {error}",
                hint="For the default engine, pip install 'django-session-mgmt[tasks]'.",
                id="session_mgmt.E002",
            )
        ]
    return []


def check_sqlite(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Check that SQLite connections wait for each other instead of failing (W001).

    A transaction that reads first and writes later fails at once when another one wrote in
    between, however long it might wait; one that begins as a writer waits for its turn.
    """
    return [
        CheckWarning(
            f"Transactions of the SQLite database {alias!r} can fail instead of waiting.",
            hint=(
                f"Give DATABASES[{alias!r}] the OPTIONS "
                f"{{'transaction_mode': 'IMMEDIATE', 'timeout': {_SQLITE_PATIENCE}}}, or more time."
            ),
            id="session_mgmt.W001",
        )
        for alias, database in connections.settings.items()
        if database["ENGINE"].endswith("sqlite3") and not _is_patient(database["OPTIONS"])
    ]


def _is_patient(options: dict[str, object]) -> bool:
    mode, timeout = options.get("transaction_mode"), options.get("timeout", 0)
    return (
        str(mode).upper() == "IMMEDIATE"
        and isinstance(timeout, int | float)
        and timeout >= _SQLITE_PATIENCE
    )
