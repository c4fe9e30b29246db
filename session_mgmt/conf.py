"""Read the `SESSION_MGMT` setting; no other file of the package reads Django's settings.

Durations may be given as timedeltas or as seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from math import inf
from typing import Annotated, Final, get_type_hints

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from session_mgmt.exceptions import ConfigurationError

__all__ = [
    "CAPACITY_POLICIES",
    "SETTING",
    "AppSettings",
    "auth_user_model",
    "configuration_problems",
    "get_settings",
    "middleware",
]

SETTING: Final = "SESSION_MGMT"
CAPACITY_POLICIES: Final = ("evict", "reject")


def _duration(value: object) -> timedelta:
    return _at_least(timedelta(0), value, "0 or more")


def _positive_duration(value: object) -> timedelta:
    return _at_least(timedelta.resolution, value, "more than 0")


def _at_least(least: timedelta, value: object, wanted: str) -> timedelta:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError) as error:
            raise ConfigurationError(f"must be a duration: {error}") from None
    if not isinstance(value, timedelta) or value < least:
        raise ConfigurationError(f"must be a timedelta or seconds, {wanted}, not {value!r}")
    return value


def _no_or_positive_duration(value: object) -> timedelta | None:
    return None if value is None else _positive_duration(value)


def _policy(value: object) -> str:
    if value not in CAPACITY_POLICIES:
        raise ConfigurationError(f"must be 'evict' or 'reject', not {value!r}")
    return str(value)


def _no_or_positive(value: object) -> int | None:
    return None if value is None else _positive(value)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"must be a whole number, 0 or more, not {value!r}")
    return value


def _positive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"must be a positive whole number, not {value!r}")
    return value


def _factor(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value < inf:
        raise ConfigurationError(f"must be a number, 1 or more, not {value!r}")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"must be True or False, not {value!r}")
    return value


def _dotted_path(value: object) -> str:
    if not isinstance(value, str) or "." not in value:
        raise ConfigurationError(f"must be a dotted path, not {value!r}")
    return value


def _aliases(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"must be None or a list of database aliases, not {value!r}")
    names = tuple(dict.fromkeys(value))
    unknown = [name for name in names if name not in django_settings.DATABASES]
    if unknown:
        known = ", ".join(django_settings.DATABASES)
        raise ConfigurationError(f"names no database: {unknown[0]!r}; known are {known}")
    return names


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """The settings with their defaults.

    Attributes:
        MAX_SESSIONS: how many sessions there may be; None means any number.
        CAPACITY_POLICY: "evict" makes room by removing sessions, "reject" refuses new ones.
        CLEANUP_INTERVAL: `session_manager` cleans up this often in a thread; None means never.
        MAX_AGE: a session that is older than this has expired, whatever its status.
        COMPLETED_MAX_AGE: the same for a completed one.
        FAILED_MAX_AGE: the same for a failed one.
        COMMIT_TOKEN_MAX_AGE: clean-up removes the tokens of `run_in_transaction` after this long.
        STUCK_AFTER: a session that is processed and gives no sign of life for this long is stuck.
        TOUCH_INTERVAL: reading a session writes `last_accessed` at most this often.
        JOB_ENGINE: dotted path of the class that delivers jobs to workers.
        LEASE: an attempt that gives no sign of life for this long has lost its job.
        REDISPATCH_AFTER: a job that nobody started for this long is dispatched again.
        JOB_RETRY_DELAY: wait before a job's second attempt; it doubles with each further one.
        JOB_RETRY_MAX_DELAY: the longest such wait.
        RETRY_MAX_RETRIES: how often work is repeated after a transient database error.
        RETRY_INITIAL_DELAY: wait before the first repetition.
        RETRY_MAX_DELAY: the longest wait, whatever a decorator says; 0 switches all waits off.
        RETRY_MULTIPLIER: by how much each wait is longer than the one before.
        RETRY_BUDGET: no repetition starts later than this after the first attempt began.
        FLUSH_INTERVAL: how long a buffered write waits at most; 0 writes at once, for tests.
        ATOMIC_ALIASES: databases that take part in a request's transaction; None means all.
        ATOMIC_SAFE_METHODS: whether GET, HEAD, OPTIONS and TRACE get a transaction too.
        ROLLBACK_ON_4XX: whether a view that returns a 4xx answer has its writes rolled back.
        MAX_TEXT_LENGTH: characters in a story or any other long text.
        MAX_DESCRIPTION_LENGTH: characters in a one-line text: a description, an error message.
        MAX_SCENES: scenes that one request may ask for.
        MAX_JSON_BYTES: size of a JSON value as UTF-8 text.
        MAX_JSON_DEPTH: how deep lists and objects may nest in a JSON value.
    """

    MAX_SESSIONS: Annotated[int | None, _no_or_positive] = None
    CAPACITY_POLICY: Annotated[str, _policy] = "evict"
    CLEANUP_INTERVAL: Annotated[timedelta | None, _no_or_positive_duration] = None
    MAX_AGE: Annotated[timedelta, _positive_duration] = timedelta(hours=24)
    COMPLETED_MAX_AGE: Annotated[timedelta, _positive_duration] = timedelta(hours=6)
    FAILED_MAX_AGE: Annotated[timedelta, _positive_duration] = timedelta(hours=1)
    COMMIT_TOKEN_MAX_AGE: Annotated[timedelta, _positive_duration] = timedelta(days=7)
    STUCK_AFTER: Annotated[timedelta, _positive_duration] = timedelta(minutes=30)
    TOUCH_INTERVAL: Annotated[timedelta, _positive_duration] = timedelta(minutes=1)
    JOB_ENGINE: Annotated[str, _dotted_path] = "session_mgmt.jobs.tasks.TasksEngine"
    LEASE: Annotated[timedelta, _positive_duration] = timedelta(minutes=1)
    REDISPATCH_AFTER: Annotated[timedelta, _positive_duration] = timedelta(minutes=1)
    JOB_RETRY_DELAY: Annotated[timedelta, _positive_duration] = timedelta(seconds=5)
    JOB_RETRY_MAX_DELAY: Annotated[timedelta, _positive_duration] = timedelta(minutes=10)
    RETRY_MAX_RETRIES: Annotated[int, _whole] = 3
    RETRY_INITIAL_DELAY: Annotated[timedelta, _duration] = timedelta(seconds=0.5)
    RETRY_MAX_DELAY: Annotated[timedelta, _duration] = timedelta(seconds=5)
    RETRY_MULTIPLIER: Annotated[float, _factor] = 2.0
    RETRY_BUDGET: Annotated[timedelta, _positive_duration] = timedelta(seconds=30)
    FLUSH_INTERVAL: Annotated[timedelta, _duration] = timedelta(milliseconds=250)
    ATOMIC_ALIASES: Annotated[tuple[str, ...] | None, _aliases] = None
    ATOMIC_SAFE_METHODS: Annotated[bool, _switch] = True
    ROLLBACK_ON_4XX: Annotated[bool, _switch] = False
    MAX_TEXT_LENGTH: Annotated[int, _positive] = 100_000
    MAX_DESCRIPTION_LENGTH: Annotated[int, _positive] = 2_000
    MAX_SCENES: Annotated[int, _positive] = 100
    MAX_JSON_BYTES: Annotated[int, _positive] = 1_000_000
    MAX_JSON_DEPTH: Annotated[int, _positive] = 100


_CONVERTERS: Final[dict[str, Callable[[object], object]]] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(AppSettings, include_extras=True).items()
}


def _convert(name: str, value: object) -> object:
    try:
        return _CONVERTERS[name](value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{SETTING}[{name!r}] {error}") from None


def configuration_problems() -> list[str]:
    """Return a sentence for each key of the setting that is unknown or has a wrong value."""
    given = getattr(django_settings, SETTING, {})
    if not isinstance(given, dict):
        return [f"{SETTING} must be a dict, not {type(given).__name__}"]
    problems = []
    for name, value in given.items():
        if name not in _CONVERTERS:
            near = get_close_matches(str(name).upper(), _CONVERTERS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_CONVERTERS)}"
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


def middleware() -> list[str]:
    """Return the dotted paths of the project's middleware, outermost first."""
    return list(django_settings.MIDDLEWARE)


def _forget(*, setting: str, **_: object) -> None:
    if setting == SETTING:
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="session_mgmt.conf")
