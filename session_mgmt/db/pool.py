"""Make the `DATABASES` entry, with a pool of connections, from the environment.

DATABASE_URL comes before POSTGRES_URI, and that before POSTGRES_HOST, POSTGRES_PORT,
POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DATABASE. DB_POOL_SIZE, DB_MAX_OVERFLOW,
DB_POOL_TIMEOUT, DB_POOL_RECYCLE, DB_POOL_PRE_PING and DB_PREPARED win over the arguments of the
same names.

Django's settings are still being read when this runs, so it asks for none of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from django.core.exceptions import ImproperlyConfigured

from session_mgmt.db.address import SWITCHES, VARIABLES, find_address

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

__all__ = ["SEED_003_POOL", "SEED_004_POOL", "database_config"]

SEED_003_POOL: Final[dict[str, Any]] = {
    "pool_size": 10,
    "max_overflow": 20,
    "pool_timeout": 30,
    "pool_recycle": 3600,
    "pre_ping": True,
}
SEED_004_POOL: Final[dict[str, Any]] = {
    "pool_size": 5,
    "max_overflow": 10,
    "pool_timeout": 30,
    "pool_recycle": 1800,
}

_NOT_IN_A_URL: Final = {
    "pool": "DB_POOL_SIZE",
    "server_side_binding": "DB_PREPARED",
    "prepare_threshold": "DB_PREPARED",
}


class _Env(Protocol):  # what is asked of an `environ.Env`
    ENVIRON: Mapping[str, str]
    prefix: str


def database_config(
    env: Mapping[str, str] | _Env | None = None,
    *,
    pool_size: int = 5,
    max_overflow: int = 10,
    pool_timeout: float = 30,
    pool_recycle: float = 1800,
    pre_ping: bool = True,
    prepared: bool = True,
    default: str | None = None,
) -> dict[str, Any]:
    """Return a `DATABASES` entry: SQLite that waits, or PostgreSQL with a pool.

    The arguments are those of seeds 003 and 004, the defaults those of 004.

    Args:
        env: an `environ.Env`, a mapping, or None for `os.environ`; values count as they stand.
        pool_size: connections that each process keeps; 0 means no pool, not "no limit".
        max_overflow: how many more it opens while all of those are busy.
        pool_timeout: seconds to wait for a free connection.
        pool_recycle: seconds after which a connection is replaced when it is given back.
        pre_ping: try a connection before it is used, and replace it if it is dead.
        prepared: bind parameters in the server and prepare statements there; switch it off
            behind a proxy that pools transactions, such as PgBouncer.
        default: the URL for when the environment names no database.

    Raises:
        ImproperlyConfigured: something is missing or wrong; it is named, the URL is not shown.
    """
    variables = _variables(env)
    given = {"pool_size": pool_size, "max_overflow": max_overflow, "pool_timeout": pool_timeout}
    given |= {"pool_recycle": pool_recycle, "pre_ping": pre_ping, "prepared": prepared}
    options = {name: _choose(variables, name, value) for name, value in given.items()}
    entry = find_address(variables, default)
    return _sqlite(entry) if entry["ENGINE"].endswith("sqlite3") else _postgres(entry, **options)


def _whole(value: object) -> int:
    number = int(value) if isinstance(value, str) else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError
    return number


def _seconds(value: object) -> float:
    number = float(value) if isinstance(value, str) else value
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number < inf:
        raise ValueError
    return number


def _switch(value: object) -> bool:
    switch = SWITCHES.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(switch, bool):
        raise ValueError  # noqa: TRY004 # _choose names what is wrong
    return switch


# For each argument its variable, its type, and what is accepted.
_RULES: Final[dict[str, tuple[str, Callable[[object], Any], str]]] = {
    "pool_size": ("DB_POOL_SIZE", _whole, "a whole number, 1 or more, or 0 for no pool"),
    "max_overflow": ("DB_MAX_OVERFLOW", _whole, "a whole number, 0 or more; there is no unlimited"),
    "pool_timeout": ("DB_POOL_TIMEOUT", _seconds, "a number of seconds, more than 0"),
    "pool_recycle": ("DB_POOL_RECYCLE", _seconds, "a number of seconds, more than 0"),
    "pre_ping": ("DB_POOL_PRE_PING", _switch, "true or false"),
    "prepared": ("DB_PREPARED", _switch, "true or false"),
}


def _variables(env: Mapping[str, str] | _Env | None) -> dict[str, str]:
    names = (*VARIABLES, *(variable for variable, _, _ in _RULES.values()))
    given: Mapping[str, str]
    if env is None or isinstance(env, Mapping):
        given, prefix = (os.environ if env is None else env), ""
    else:
        given, prefix = env.ENVIRON, env.prefix
    return {name: given[prefix + name] for name in names if prefix + name in given}


def _choose(variables: Mapping[str, str], argument: str, value: object) -> Any:
    variable, convert, accepted = _RULES[argument]
    name, value = (variable, variables[variable]) if variables.get(variable) else (argument, value)
    try:
        return convert(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be {accepted}, not {value!r}") from None


def _sqlite(entry: dict[str, Any]) -> dict[str, Any]:
    entry["OPTIONS"] = {
        # A transaction that reads first and writes later would fail at once, not wait.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    } | entry["OPTIONS"]
    return entry


def _postgres(
    entry: dict[str, Any], *, pool_size: int, pre_ping: bool, prepared: bool, **pool: Any
) -> dict[str, Any]:
    _refuse_what_a_url_cannot_say(entry, has_pool=bool(pool_size))
    options: dict[str, Any] = {
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        # Keepalives do not help a ping whose packets are lost: that would hang for minutes.
        "tcp_user_timeout": 20_000,  # milliseconds
        "server_side_binding": prepared,
        "prepare_threshold": 5 if prepared else None,
    }
    if pool_size:
        options["pool"] = _pool(pool_size, **pool)
    return {
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": pre_ping,
        # A cursor that outlives its transaction does not survive a proxy that pools those.
        "DISABLE_SERVER_SIDE_CURSORS": not prepared,
        **entry,
        "OPTIONS": options | entry["OPTIONS"],
    }


def _refuse_what_a_url_cannot_say(entry: dict[str, Any], *, has_pool: bool) -> None:
    for name, variable in _NOT_IN_A_URL.items():
        if name in entry["OPTIONS"]:
            raise ImproperlyConfigured(f"The database's URL cannot say {name}; set {variable}")
    if has_pool and entry.get("CONN_MAX_AGE", 0) != 0:
        raise ImproperlyConfigured(
            "The database's URL cannot say conn_max_age while there is a pool: it decides how long "
            "connections live. Take it out of the URL, or set DB_POOL_SIZE=0"
        )


def _pool(
    pool_size: int, *, max_overflow: int, pool_timeout: float, pool_recycle: float
) -> dict[str, Any]:
    return {
        "min_size": pool_size,
        "max_size": pool_size + max_overflow,
        "timeout": pool_timeout,
        "max_lifetime": pool_recycle,
        # While connecting fails the pool tries again after 1, 2, 4 ... seconds for this long, and
        # as long as it tries it may start no other attempt, whoever asks (_maybe_grow_pool): with
        # its default of 5 minutes a server can be back for 2 until anybody notices. An attempt
        # that has given up no longer counts, so that the next request starts one at once.
        "reconnect_timeout": 1.0,
        "reconnect_failed": _try_again_for_who_waits,
        **_connection_class(),
    }


def _connection_class() -> dict[str, Any]:
    try:
        from session_mgmt.db.pooled_connection import PooledConnection
    except ImportError:
        return {}  # without psycopg Django itself says, at the first query, what to install
    return {"connection_class": PooledConnection}


def _try_again_for_who_waits(pool: ConnectionPool[Any]) -> None:
    """Start the next attempt for requests that still wait; only a new request would otherwise."""
    if pool.get_stats().get("requests_waiting"):
        pool.check()
