"""Errors of transactions and of the write-behind buffer."""

from __future__ import annotations

from session_mgmt.exceptions.roots import SessionManagerError

__all__ = ["AlreadyCommittedError", "BufferFullError", "CommitOutcomeUnknownError", "FlushError"]


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
