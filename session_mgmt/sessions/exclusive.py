"""What `SessionManager` does to sessions while nobody else can change them (seed 001)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from session_mgmt.exceptions import InvalidTransitionError, SessionNotFoundError, named
from session_mgmt.models import GenerationSession
from session_mgmt.sessions.configuration import Configuration
from session_mgmt.sessions.locking import update_attributes, update_many, with_lock
from session_mgmt.sessions.transitions import recover, reopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from session_mgmt.states import GenerationStatus

__all__ = ["ExclusiveAccess"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class ExclusiveAccess(Configuration):
    """Change sessions as a whole, under their locks."""

    def with_session_lock(
        self,
        session_id: object,
        operation: Callable[[GenerationSession], T],
        *,
        timeout: float | None = None,
    ) -> T:
        """Call `operation(session)` while nobody else can change the session; return its result.

        What it sets on the session is saved in the same transaction, without a `save()`: status,
        error_message, request_data, owner, is_active, progress, scenes (also by changing the list)
        and the times. If it raises, nothing is changed. It may use the manager; it must not wait
        for others, who wait for it.

        Args:
            session_id: text or UUID.
            operation: takes the session.
            timeout: seconds to wait for the lock; None leaves it to the database's own settings.

        Raises:
            SessionNotFoundError: there is no such session.
            SessionLockError: somebody else held it for too long.
            InvalidInputError: something was set to a value of the wrong type, or cannot be set.
            InvalidTransitionError: the session cannot go to the status that was set.
        """
        return with_lock(session_id, operation, timeout, self.using)

    def atomic_session_update(self, session_id: object, updates: Mapping[str, object]) -> bool:
        """Set several attributes at once, or none; False if there is no such session.

        An attribute that a session does not have is logged and skipped. A status that the session
        cannot reach gives False and a warning, and nothing is changed.

        Raises:
            InvalidInputError: a value is of the wrong type, or the attribute cannot be changed.
        """
        try:
            update_attributes(session_id, updates, self.using)
        except (SessionNotFoundError, InvalidTransitionError) as refusal:
            logger.warning("Cannot update session: %s", refusal)
            return False
        return True

    def bulk_update_sessions(
        self, session_ids: Iterable[object], operation: Callable[[GenerationSession], object]
    ) -> int:
        """Call `operation` with each of the sessions in one transaction; return how many worked.

        It does what it does in `with_session_lock`. Where it raises, that session stays as it was,
        the error is logged, and the others go on. Ids that are unknown or come twice are skipped.
        All sessions are locked until the end: meant for thousands, not for millions.

        Raises:
            OperationalError: the connection is lost, or the transaction is to be run again; no
                session is changed.
        """
        return update_many(session_ids, operation, self.using)

    def get_sessions_by_status(self, status: GenerationStatus) -> list[GenerationSession]:
        """Return the sessions with this status, oldest first, with progress and scenes.

        Two queries. For very many use `GenerationSession.objects.with_status(…).iterator()`.

        Raises:
            InvalidInputError: there is no such status.
        """
        rows = GenerationSession.objects.using(self.using).with_status(status)
        loaded = rows.select_related("progress_row").prefetch_related("scene_rows")
        return list(loaded.order_by("age_from", "pk"))

    def recover_corrupted_session(self, session_id: object) -> bool:
        """Set a session to FAILED from any status, even a final one; False if there is none.

        The rest of the row is left alone, so that nothing is lost that may be wanted.
        """
        recovered = recover(session_id, self.using)
        if not recovered:
            logger.warning("Cannot recover non-existent session: %s", named(session_id))
        return recovered

    def reopen(self, session_id: object) -> None:
        """Move a failed or cancelled session back to PENDING: the one way out of these.

        Its error is cleared; scenes, progress and events stay. Start its work again yourself.

        Raises:
            SessionNotFoundError: there is no such session.
            InvalidTransitionError: it is neither failed nor cancelled.
        """
        reopen(session_id, self.using)
