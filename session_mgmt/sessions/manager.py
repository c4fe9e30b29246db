"""`SessionManager`: the seed's interface, with its state in the database (seed 001).

Nothing but settings and a thread is kept in the process: any number of managers in any number of
processes are one.
"""

from __future__ import annotations

from session_mgmt.sessions.access import SessionAccess

__all__ = ["SessionManager", "session_manager"]


class SessionManager(SessionAccess):
    """Create, read and change sessions.

    Session ids are taken as text or UUID; an id that is unknown or malformed gives the seed's
    None or False, and a warning in the log.

    Args:
        using: database alias of all it does.
    """

    def __init__(self, *, using: str = "default") -> None:
        self.using = using


session_manager = SessionManager()
