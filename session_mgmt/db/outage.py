"""Fail fast while a database is away, instead of letting every thread of a site wait for it.

A pool waits up to its timeout, 30 seconds in the seeds, whether all of its connections are in use
or the server is gone. The two are told apart by asking the server, once a second for all who wait.
When it is gone, one caller at a time looks for it and the others are refused at once.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from django.db import Error, OperationalError

from session_mgmt.db.errors import Fault, classify, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["connecting", "found_away", "log_once_a_second", "watch_pool"]

logger = logging.getLogger(__name__)

_PAUSE: Final = 0.5  # seconds between two looks at a server that was away
_GLANCE: Final = 0.75  # seconds that a pool may take before the server is asked
_QUIET: Final = 2.0  # seconds without a line before a pool may say what it sees
_ADDRESS: Final = ("host", "hostaddr", "port", "service", "dbname")

_away_until: dict[str, float] = {}
_last_line = _last_of_pool = -1.0
_lock = threading.Lock()


def found_away() -> bool:
    """Tell whether a database was found away a moment ago."""
    now = time.monotonic()
    return any(now < until for until in _away_until.values())


@contextmanager
def connecting(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Refuse at once while the database is away; learn from what happens inside whether it is.

    Raises:
        OperationalError: somebody found the database away less than half a second ago.
    """
    alias = connection.alias
    until = _away_until.get(alias)
    if until is not None and connection.connection is None:
        with _lock:
            now = time.monotonic()
            if now < _away_until.get(alias, now):
                raise OperationalError(f"The database {alias!r} does not answer")
            _away_until[alias] = now + _PAUSE  # this caller looks for all
    watch_pool(connection)
    try:
        yield
    except Error as error:
        if _is_away(connection, error):
            _away_until[alias] = time.monotonic() + _PAUSE
        raise
    if until is not None:
        _away_until.pop(alias, None)


def log_once_a_second(error: BaseException) -> None:
    """Say that a database is away; a storm of requests makes one line a second."""
    global _last_line  # one process, one log
    with _lock:
        now = time.monotonic()
        if now - _last_line < 1.0:
            return
        _last_line = now
    logger.error("Answering 503, the database is away: %s", describe(error))


class _LessOften(logging.Filter):
    """Holds a pool's warnings back: it has several for each of its attempts to connect."""

    def filter(self, record: logging.LogRecord) -> bool:
        global _last_of_pool
        if record.levelno != logging.WARNING:
            return True
        with _lock:
            now = time.monotonic()
            if now - max(_last_line, _last_of_pool) < _QUIET:
                return False
            _last_of_pool = now
            return True


_less_often: Final = _LessOften()


def _is_away(connection: BaseDatabaseWrapper, error: BaseException) -> bool:
    """Tell a server that is away from one that is full, or refuses this user."""
    if classify(error) is not Fault.LOST_CONNECTION or connection.vendor != "postgresql":
        return False
    return not _answers(connection.get_connection_params())


def _answers(parameters: Mapping[str, Any]) -> bool:  # Any: psycopg is optional
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    where = {key: parameters[key] for key in _ADDRESS if parameters.get(key)}
    conninfo = make_conninfo("", **where, connect_timeout=2)
    return pq.PGconn.ping(conninfo.encode()) == pq.Ping.OK


def watch_pool(connection: BaseDatabaseWrapper) -> None:
    """Let a connection's pool, if it has one, give up early when the server is gone."""
    if connection.connection is not None or connection.vendor != "postgresql":
        return
    pool: Any = getattr(connection, "pool", None)  # Any: psycopg is optional
    if pool is not None and "getconn" not in vars(pool):
        pool.getconn = _Patience(pool, pool.getconn)
        logging.getLogger("psycopg.pool").addFilter(_less_often)


class _Patience:
    """Stand in for a pool's `getconn`; gives up early when the server is gone."""

    def __init__(self, pool: Any, getconn: Any) -> None:
        self._pool, self._getconn = pool, getconn
        self._asked_at = -1.0
        self._answered = True
        self._asking = threading.Lock()

    def __call__(self, timeout: float | None = None) -> Any:
        from psycopg_pool import PoolTimeout

        deadline = time.monotonic() + (self._pool.timeout if timeout is None else timeout)
        while True:
            left = deadline - time.monotonic()
            try:
                return self._getconn(max(0.001, min(left, _GLANCE)))
            except PoolTimeout:
                if left <= _GLANCE:
                    raise
                if not self._server_answers():
                    raise OperationalError("the server of the pool does not answer") from None

    def _server_answers(self) -> bool:
        with self._asking:
            if time.monotonic() - self._asked_at > 1.0:
                self._answered = _answers(self._pool.kwargs or {})
                self._asked_at = time.monotonic()
            return self._answered
