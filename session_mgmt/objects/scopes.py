"""Make a block one unit: committed when it ends, taken back when it fails."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from session_mgmt.db.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from session_mgmt.objects.session import Session

__all__ = ["SessionScope"]


class SessionScope:
    """What `session_scope` returns, for `with` and for `async with`; it gives the session.

    When the block ends well, everything that is changed in the session is committed as one
    transaction. When it raises, or the commit does, the objects of the session are what they were
    when the block began, and objects that were created in it are gone. In a block inside a block,
    only the outermost commits.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Session:
        self._session._unit.enter_scope()
        return self._session

    def __exit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        self._session._leave_scope(failed=exc is not None)

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: object, exc: BaseException | None, traceback: object
    ) -> None:
        await uninterrupted(partial(self.__exit__, exc_type, exc, traceback))
