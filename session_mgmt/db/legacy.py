"""The names of sessions that were opened by hand in seeds 002 and 003; each one warns."""

from __future__ import annotations

import warnings

from session_mgmt.db.session import DbSession, get_db_session

__all__ = ["get_database_session", "initialize_database_and_session"]


def get_database_session(using: str | None = None) -> DbSession:
    """Return an open session; `commit()` and `close()` must be called by hand.

    A session that nobody closes keeps its connection, and what it wrote is lost.

    Args:
        using: database alias; None means the default one.

    From seed 003. Use `with get_db_session() as session:` instead.
    """
    _warn("get_database_session")
    return get_db_session(using).open()


def initialize_database_and_session(using: str | None = None) -> DbSession:
    """Do as `get_database_session`; Django has initialized the database itself.

    From seed 003. Use `with get_db_session() as session:` instead.
    """
    _warn("initialize_database_and_session")
    return get_db_session(using).open()


def _warn(name: str) -> None:
    warnings.warn(
        f"{name}() leaves it to you to close the session; "
        "use `with get_db_session() as session:` instead",
        DeprecationWarning,
        stacklevel=3,
    )
