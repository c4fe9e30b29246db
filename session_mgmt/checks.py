"""System checks: tell at start-up what would otherwise fail at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connections
from django.utils.module_loading import import_string

from session_mgmt.conf import SETTING, configuration_problems, get_settings, middleware

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.apps import AppConfig
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["check_middleware", "check_pool", "check_pool_size", "check_settings", "check_sqlite"]

_SQLITE_PATIENCE: Final = 20  # seconds
_DEFAULT_POOL_SIZE: Final = 4  # psycopg_pool's own
_USABLE_CONNECTIONS: Final = """
    SELECT current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0)
"""  # the last is new in PostgreSQL 16

_ATOMIC: Final = "session_mgmt.middleware.AtomicRequestMiddleware"
_CACHE: Final = "django.middleware.cache.UpdateCacheMiddleware"
_WRITERS: Final = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)


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


def check_pool(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Check that nothing but the pool decides how long its connections live (E003)."""
    return [
        Error(
            f"The database {alias!r} has a pool and CONN_MAX_AGE; Django refuses to connect.",
            hint=(
                f"Set DATABASES[{alias!r}]['CONN_MAX_AGE'] to 0; the pool's max_lifetime says "
                "when a connection is replaced."
            ),
            id="session_mgmt.E003",
        )
        for alias, database in connections.settings.items()
        if database["OPTIONS"].get("pool") and database["CONN_MAX_AGE"] != 0
    ]


def check_pool_size(
    app_configs: Sequence[AppConfig] | None,
    *,
    databases: Sequence[str] | None = None,
    **kwargs: object,
) -> list[CheckMessage]:
    """Check that the server allows as many connections as one process's pool may open (W002).

    Nothing is said of a server that cannot be asked; whoever connects next is told why.
    """
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        pool = connection.settings_dict["OPTIONS"].get("pool")
        if connection.vendor != "postgresql" or not pool:
            continue
        size = _max_size(pool)
        usable = _usable_connections(connection)
        if usable is not None and size > usable:
            found.append(
                CheckWarning(
                    f"The pool of the database {alias!r} may open {size} connections, "
                    f"but its server has {usable} for all processes together.",
                    hint=(
                        "Lower DB_POOL_SIZE and DB_MAX_OVERFLOW (the pool's max_size) so that the "
                        "pools of all processes fit, or raise the server's max_connections."
                    ),
                    id="session_mgmt.W002",
                )
            )
    return found


def _max_size(pool: Any) -> int:  # a dict of options, or True for the defaults
    options = pool if isinstance(pool, dict) else {}
    size: int = options.get("max_size") or options.get("min_size", _DEFAULT_POOL_SIZE)
    return size


def _usable_connections(connection: BaseDatabaseWrapper) -> int | None:
    # A connection of its own: the pool would be filled, and wait its full timeout in an outage.
    try:
        single = connection.copy()
        single.settings_dict["OPTIONS"].pop("pool")
        try:
            with single.cursor() as cursor:
                cursor.execute(_USABLE_CONNECTIONS)
                usable: int = cursor.fetchone()[0]
        finally:
            single.close()
    except (DatabaseError, ImproperlyConfigured):
        return None
    return usable


def check_middleware(
    app_configs: Sequence[AppConfig] | None, **kwargs: object
) -> list[CheckMessage]:
    """Check that requests get one transaction each (E004), around what writes in them (W003)."""
    paths = middleware()
    atomic = next((place for place, path in enumerate(paths) if _is_a(path, _ATOMIC)), None)
    if atomic is None:
        return []
    return [*_double_transactions(), *_misplaced(paths, atomic)]


def _double_transactions() -> Iterator[CheckMessage]:
    for alias, database in connections.settings.items():
        if database["ATOMIC_REQUESTS"]:
            yield Error(
                f"The database {alias!r} has ATOMIC_REQUESTS beside AtomicRequestMiddleware.",
                hint=(
                    f"Set DATABASES[{alias!r}]['ATOMIC_REQUESTS'] to False: its transaction would "
                    "be an inner one, whose end is no commit."
                ),
                id="session_mgmt.E004",
            )


def _misplaced(paths: Sequence[str], atomic: int) -> Iterator[CheckMessage]:
    for path in paths[:atomic]:
        if any(_is_a(path, writer) for writer in _WRITERS):
            yield CheckWarning(
                f"What {path} writes is not part of the request's transaction, "
                "and stays when that fails.",
                hint=f"Put {paths[atomic]} before it in MIDDLEWARE.",
                id="session_mgmt.W003",
            )
    for path in paths[atomic + 1 :]:
        if _is_a(path, _CACHE):
            yield CheckWarning(
                f"{path} stores an answer before the request's transaction has committed.",
                hint=f"Put {paths[atomic]} after it in MIDDLEWARE.",
                id="session_mgmt.W003",
            )


def _is_a(path: str, parent: str) -> bool:
    if path == parent:
        return True
    found, wanted = _imported(path), _imported(parent)
    return isinstance(found, type) and isinstance(wanted, type) and issubclass(found, wanted)


def _imported(path: str) -> object:
    try:
        return import_string(path)
    except Exception:  # Django tells, when it loads the middleware; an app may not be installed
        return None
