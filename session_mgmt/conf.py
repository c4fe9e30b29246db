"""Read the `SESSION_MGMT` setting; no other file of the package reads Django's settings.

Durations may be given as timedeltas or as seconds.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Final, get_type_hints

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.views.debug import SafeExceptionReporterFilter

from session_mgmt.converters import (
    CAPACITY_POLICIES,
    dotted_path,
    duration,
    factor,
    no_or_positive,
    no_or_positive_duration,
    policy,
    positive,
    positive_duration,
    switch,
    whole,
)
from session_mgmt.exceptions import ConfigurationError

__all__ = [
    "CAPACITY_POLICIES",
    "SETTING",
    "AppSettings",
    "auth_user_model",
    "configuration_problems",
    "get_settings",
    "middleware",
    "secrets",
]

SETTING: Final = "SESSION_MGMT"
_SECRET: Final = re.compile(
    r"SECRET|PASSW|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIAL", re.I
)
_SHORTEST_SECRET: Final = 6
_NO_SECRETS: Final = frozenset({"AUTH_PASSWORD_VALIDATORS", "PASSWORD_HASHERS"})


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
        LEASE: an attempt that gives no sign of life for this long may lose its job to a rescue.
        REDISPATCH_AFTER: a job that nobody started for this long is dispatched again.
        RESCUE_ON_READ: who follows a session does what `rescue_jobs` does, at most this often in a
            process; None leaves that to the command.
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

    MAX_SESSIONS: Annotated[int | None, no_or_positive] = None
    CAPACITY_POLICY: Annotated[str, policy] = "evict"
    CLEANUP_INTERVAL: Annotated[timedelta | None, no_or_positive_duration] = None
    MAX_AGE: Annotated[timedelta, positive_duration] = timedelta(hours=24)
    COMPLETED_MAX_AGE: Annotated[timedelta, positive_duration] = timedelta(hours=6)
    FAILED_MAX_AGE: Annotated[timedelta, positive_duration] = timedelta(hours=1)
    COMMIT_TOKEN_MAX_AGE: Annotated[timedelta, positive_duration] = timedelta(days=7)
    STUCK_AFTER: Annotated[timedelta, positive_duration] = timedelta(minutes=30)
    TOUCH_INTERVAL: Annotated[timedelta, positive_duration] = timedelta(minutes=1)
    JOB_ENGINE: Annotated[str, dotted_path] = "session_mgmt.jobs.tasks.TasksEngine"
    LEASE: Annotated[timedelta, positive_duration] = timedelta(minutes=1)
    REDISPATCH_AFTER: Annotated[timedelta, positive_duration] = timedelta(minutes=1)
    RESCUE_ON_READ: Annotated[timedelta | None, no_or_positive_duration] = timedelta(seconds=10)
    JOB_RETRY_DELAY: Annotated[timedelta, positive_duration] = timedelta(seconds=5)
    JOB_RETRY_MAX_DELAY: Annotated[timedelta, positive_duration] = timedelta(minutes=10)
    RETRY_MAX_RETRIES: Annotated[int, whole] = 3
    RETRY_INITIAL_DELAY: Annotated[timedelta, duration] = timedelta(seconds=0.5)
    RETRY_MAX_DELAY: Annotated[timedelta, duration] = timedelta(seconds=5)
    RETRY_MULTIPLIER: Annotated[float, factor] = 2.0
    RETRY_BUDGET: Annotated[timedelta, positive_duration] = timedelta(seconds=30)
    FLUSH_INTERVAL: Annotated[timedelta, duration] = timedelta(milliseconds=250)
    ATOMIC_ALIASES: Annotated[tuple[str, ...] | None, _aliases] = None
    ATOMIC_SAFE_METHODS: Annotated[bool, switch] = True
    ROLLBACK_ON_4XX: Annotated[bool, switch] = False
    MAX_TEXT_LENGTH: Annotated[int, positive] = 100_000
    MAX_DESCRIPTION_LENGTH: Annotated[int, positive] = 2_000
    MAX_SCENES: Annotated[int, positive] = 100
    MAX_JSON_BYTES: Annotated[int, positive] = 1_000_000
    MAX_JSON_DEPTH: Annotated[int, positive] = 100


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


def secrets() -> list[str]:
    """Return the passwords, keys and tokens in the project's settings, the longest first.

    A setting is one by its name, or by that of the dictionary it is in; a text of less than six
    characters would hide ordinary words.
    """
    found: set[str] = set()
    seen: set[int] = set()
    waiting = _AllSettings().collected()
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict | list | tuple | set | frozenset):
            if id(value) not in seen:
                seen.add(id(value))
                keyed = value.items() if isinstance(value, dict) else (("", one) for one in value)
                waiting.extend((f"{name}_{key}", inner) for key, inner in keyed)
        elif isinstance(value, str) and len(value) >= _SHORTEST_SECRET and _SECRET.search(name):
            found.add(value)
    return sorted(found, key=len, reverse=True)


class _AllSettings(SafeExceptionReporterFilter):
    """Read every setting as Django does for its error pages: reading old ones does not warn."""

    def collected(self) -> list[tuple[str, object]]:
        self._found: list[tuple[str, object]] = []
        with suppress(ImproperlyConfigured):  # an empty SECRET_KEY cannot be read, nor told
            self.get_safe_settings()
        return self._found

    def cleanse_setting(self, key: object, value: object) -> object:
        if key not in _NO_SECRETS:
            self._found.append((str(key), value))
        return value


def middleware() -> list[str]:
    """Return the dotted paths of the project's middleware, outermost first."""
    return list(django_settings.MIDDLEWARE)


def _forget(*, setting: str, **_: object) -> None:
    if setting == SETTING:
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="session_mgmt.conf")
