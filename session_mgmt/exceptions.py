"""Every error that session_mgmt raises on purpose: one root, one class for each remedy."""

from __future__ import annotations

from typing import Final
from uuid import UUID

__all__ = [
    "AlreadyCommittedError",
    "BufferFullError",
    "CommitOutcomeUnknownError",
    "ConfigurationError",
    "FlushError",
    "GiveUp",
    "IdempotencyConflictError",
    "InvalidInputError",
    "InvalidTransitionError",
    "JobCancelledError",
    "LeaseLostError",
    "SessionCapacityError",
    "SessionLockError",
    "SessionManagerError",
    "SessionNotFoundError",
    "WorkerStoppingError",
    "named",
    "shown",
]

_LONGEST_SHOWN: Final = 100


def shown(value: object) -> str:
    """Return a refused value as a message may show it: short, and whatever its `repr` does."""
    try:
        text = repr(value)
    except Exception:  # a number of 5,000 digits
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def named(value: object) -> str:
    """Return a name or an id as a message may show it: as it is where that is a plain word."""
    is_plain = isinstance(value, UUID) or (
        isinstance(value, str) and len(value) <= _LONGEST_SHOWN and value.isprintable()
    )
    return str(value) if is_plain else shown(value)


class SessionManagerError(Exception):
    """Catch this to catch all of them."""


class ConfigurationError(SessionManagerError):
    """Say which setting is wrong and how to mend it."""


class InvalidInputError(SessionManagerError, ValueError):
    """Name the field whose value was refused; nothing has been written.

    Attributes:
        field: name of the refused field, as the caller knows it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


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


class CommitOutcomeUnknownError(SessionManagerError):
    """The connection was lost while a write was being committed; it may have happened or not.

    Doing it again may do it twice. With a token the same call may be made again, see
    `run_in_transaction`; without one, look whether it is there.

    Attributes:
        token: the token of the work, or None.
    """

    def __init__(self, token: str | None = None) -> None:
        remedy = (
            "look whether it is there before you do it again, or give the work a token"
            if token is None
            else f"call again with the token {token!r}"
        )
        super().__init__(f"The database did not say whether it has committed; {remedy}")
        self.token = token


class AlreadyCommittedError(SessionManagerError):
    """Work with this token has been committed by another call; there is nothing left to do.

    Attributes:
        token: the token of the work.
    """

    def __init__(self, token: str) -> None:
        super().__init__(f"The work with the token {token!r} has been committed before")
        self.token = token


class LeaseLostError(SessionManagerError):
    """This attempt no longer owns its job: stop, whatever it writes is refused.

    Attributes:
        job_id: the job.
        attempt: the attempt that lost it.
    """

    def __init__(self, job_id: int, attempt: int) -> None:
        super().__init__(
            f"Attempt {attempt} no longer owns job {job_id}: it ended, was removed, "
            "or was taken over after its lease ran out"
        )
        self.job_id = job_id
        self.attempt = attempt


class JobCancelledError(SessionManagerError):
    """Somebody cancelled the job: stop, whatever this attempt writes is refused.

    Attributes:
        job_id: the job.
    """

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} was cancelled")
        self.job_id = job_id


class WorkerStoppingError(SessionManagerError):
    """The worker is about to end: stop, another one goes on; the attempt does not count.

    Attributes:
        job_id: the job.
    """

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} is given back, because its worker was told to stop")
        self.job_id = job_id


class GiveUp(SessionManagerError):  # noqa: N818 # raised by handlers on purpose: an order, no error
    """Raise it in a handler when trying again is of no use: the job fails for good."""


class BufferFullError(SessionManagerError):
    """The value was not taken: too many others wait, and the database does not keep up.

    Attributes:
        buffer: name of the buffer.
        using: alias of the database.
    """

    def __init__(self, buffer: str, using: str, max_pending: int) -> None:
        super().__init__(
            f"Buffer {buffer} holds {max_pending} items that database {using} has not taken yet"
        )
        self.buffer = buffer
        self.using = using


class FlushError(SessionManagerError):
    """Not everything was written in time; what was not is kept and tried again.

    Attributes:
        waiting: how many items are not written.
    """

    def __init__(self, waiting: int, trouble: str) -> None:
        super().__init__(f"{waiting} buffered items are not written yet: {trouble}")
        self.waiting = waiting
