"""System checks: tell at start-up what would otherwise fail at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from session_mgmt.conf import SETTING, configuration_problems, get_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.apps import AppConfig

__all__ = ["check_settings"]


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
