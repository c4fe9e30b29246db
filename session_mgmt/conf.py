"""Read the `SESSION_MGMT` setting; no other file of the package reads Django's settings.

Durations may be given as timedeltas or as seconds.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from typing import Final

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from session_mgmt.exceptions import ConfigurationError

__all__ = ["SETTING", "AppSettings", "auth_user_model", "configuration_problems", "get_settings"]

SETTING: Final = "SESSION_MGMT"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """The settings with their defaults.

    Attributes:
        TOUCH_INTERVAL: reading a session writes `last_accessed` at most this often.
        JOB_ENGINE: dotted path of the class that delivers jobs to workers.
        LEASE: an attempt that gives no sign of life for this long has lost its job.
        REDISPATCH_AFTER: a job that nobody started for this long is dispatched again.
        JOB_RETRY_DELAY: wait before a job's second attempt; it doubles with each further one.
        JOB_RETRY_MAX_DELAY: the longest such wait.
        MAX_TEXT_LENGTH: characters in a story or any other long text.
        MAX_DESCRIPTION_LENGTH: characters in a one-line text: a description, an error message.
        MAX_SCENES: scenes that one request may ask for.
        MAX_JSON_BYTES: size of a JSON value as UTF-8 text.
        MAX_JSON_DEPTH: how deep lists and objects may nest in a JSON value.
    """

    TOUCH_INTERVAL: timedelta = timedelta(minutes=1)
    JOB_ENGINE: str = "session_mgmt.jobs.tasks.TasksEngine"
    LEASE: timedelta = timedelta(minutes=1)
    REDISPATCH_AFTER: timedelta = timedelta(minutes=1)
    JOB_RETRY_DELAY: timedelta = timedelta(seconds=5)
    JOB_RETRY_MAX_DELAY: timedelta = timedelta(minutes=10)
    MAX_TEXT_LENGTH: int = 100_000
    MAX_DESCRIPTION_LENGTH: int = 2_000
    MAX_SCENES: int = 100
    MAX_JSON_BYTES: int = 1_000_000
    MAX_JSON_DEPTH: int = 100


_DEFAULTS: Final[dict[str, object]] = {
    field.name: field.default for field in dataclasses.fields(AppSettings)
}


def _convert(name: str, value: object) -> object:
    default = _DEFAULTS[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, timedelta):
        if is_number:
            try:
                value = timedelta(seconds=value)  # type: ignore[arg-type] # narrowed by is_number
            except (OverflowError, ValueError) as error:
                raise ConfigurationError(f"{SETTING}[{name!r}]: {error}") from None
        if not isinstance(value, timedelta) or value <= timedelta(0):
            raise ConfigurationError(
                f"{SETTING}[{name!r}] must be a positive timedelta or seconds, not {value!r}"
            )
    elif isinstance(default, int):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigurationError(
                f"{SETTING}[{name!r}] must be a positive whole number, not {value!r}"
            )
    elif not isinstance(value, str) or "." not in value:
        raise ConfigurationError(f"{SETTING}[{name!r}] must be a dotted path, not {value!r}")
    return value


def configuration_problems() -> list[str]:
    """Return a sentence for each key of the setting that is unknown or has a wrong value."""
    given = getattr(django_settings, SETTING, {})
    if not isinstance(given, dict):
        return [f"{SETTING} must be a dict, not {type(given).__name__}"]
    problems = []
    for name, value in given.items():
        if name not in _DEFAULTS:
            near = get_close_matches(str(name).upper(), _DEFAULTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_DEFAULTS)}"
            problems.append(f"{SETTING} has no key {name!r}; {hint}")
            continue
        try:
            _convert(name, value)
        except ConfigurationError as error:
            problems.append(str(error))
    return problems


@cache
def get_settings() -> AppSettings:
    """Return the settings; they are built once and again after `setting_changed`.

    Raises:
        ConfigurationError: a key is unknown or its value is wrong; the message names it.
    """
    problems = configuration_problems()
    if problems:
        raise ConfigurationError("; ".join(problems))
    given: dict[str, object] = getattr(django_settings, SETTING, {})
    values = {name: _convert(name, value) for name, value in given.items()}
    return AppSettings(**values)  # type: ignore[arg-type] # _convert checked each value's type


def auth_user_model() -> str:
    """Return the label of the project's user model."""
    return django_settings.AUTH_USER_MODEL


def _forget(*, setting: str, **_: object) -> None:
    if setting == SETTING:
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="session_mgmt.conf")
