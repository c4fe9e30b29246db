"""Errors of sessions: not there, no room, locked, a change of status or a key refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_mgmt.exceptions.roots import SessionManagerError, named

if TYPE_CHECKING:
    from uuid import UUID

__all__ = [
    "IdempotencyConflictError",
    "InvalidTransitionError",
    "SessionCapacityError",
    "SessionLockError",
    "SessionNotFoundError",
]


class SessionNotFoundError(SessionManagerError, ValueError):
    """No session has this id (also a ValueError, which is what seed 001 raised).

    Attributes:
        session_id: the id that was looked for.
    """

    def __init__(self, session_id: object) -> None:
        super().__init__(f"Session not found: {named(session_id)}")
        self.session_id = session_id


class SessionCapacityError(SessionManagerError):
    """There is no room for another session; nothing is written.

    Attributes:
        max_sessions: how many there may be.
    """

    def __init__(self, max_sessions: int, remedy: str) -> None:
        super().__init__(f"No room for another session, {max_sessions} may exist; {remedy}")
        self.max_sessions = max_sessions


class SessionLockError(SessionManagerError):
    """Somebody else held the session for too long; nothing is changed.

    Attributes:
        session_id: the session.
    """

    def __init__(self, session_id: object) -> None:
        super().__init__(f"Session {session_id} is locked by somebody else; try again later")
        self.session_id = session_id


class InvalidTransitionError(SessionManagerError):
    """A session cannot go from its status to the one that was asked for.

    Attributes:
        session_id: the session.
        current: its status, unchanged.
        requested: the status that was refused.
    """

    def __init__(self, session_id: object, current: str, requested: str) -> None:
        super().__init__(f"Session {session_id} cannot go from {current} to {requested}")
        self.session_id = session_id
        self.current = current
        self.requested = requested


class IdempotencyConflictError(SessionManagerError):
    """The same idempotency key came with another request.

    Attributes:
        idempotency_key: the key that is taken.
        session_id: the session that was started under it.
    """

    def __init__(self, idempotency_key: str, session_id: UUID) -> None:
        super().__init__(
            f"Idempotency key {idempotency_key!r} belongs to session {session_id}, "
            "which was started with another request; use a new key for a new request"
        )
        self.idempotency_key = idempotency_key
        self.session_id = session_id
