"""What `SessionManager` tells of all sessions, and whom it tells what happens to one (seed 001)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from session_mgmt.models import GenerationSession
from session_mgmt.sessions.callbacks import event_signal, register_callback, unregister_callback
from session_mgmt.sessions.configuration import Configuration
from session_mgmt.sessions.stats import health_status, performance_stats
from session_mgmt.signals import announce

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Monitoring"]

logger = logging.getLogger(__name__)


class Monitoring(Configuration):
    """Statistics, health and callbacks."""

    def get_performance_stats(self) -> dict[str, Any]:  # Any: the seed's dict holds dicts, numbers
        """Count the sessions by status and age, in the seed's shape; one query.

        Reads an index over all sessions: about a tenth of a second for a million of them.
        """
        return performance_stats(self.using, self.max_sessions)

    def get_health_status(self) -> dict[str, str]:
        """Judge how full it is and count the stuck sessions, in the seed's shape; one query."""
        return health_status(self.using, self.max_sessions, self.cleanup_active)

    def register_session_callback(
        self, event_type: str, callback: Callable[[str, GenerationSession], object]
    ) -> None:
        """Call `callback(session_id, session)` whenever this happens, once it has committed.

        It is called in the process and the thread where it happened, whichever manager was used,
        with the session as it is then; for `session_removed` and `session_expired`, as it was.
        An error in it is logged and changes nothing. Registering it again changes nothing.

        Args:
            event_type: session_created, status_changed, progress_updated, scene_added,
                session_completed, session_failed, session_cancelled, session_removed or
                session_expired.
            callback: costs one query a call, for the session.

        Raises:
            InvalidInputError: there is no such event, or the callback cannot be called.
        """
        register_callback(event_type, callback, self.using)
        logger.info("Registered callback for %s events", event_type)

    def unregister_session_callback(
        self, event_type: str, callback: Callable[[str, GenerationSession], object]
    ) -> bool:
        """Undo `register_session_callback`; False when it was not registered for this event."""
        return unregister_callback(event_type, callback, self.using)

    # The seed's private names; code that was written for it calls them.
    def _trigger_callbacks(
        self, event_type: str, session_id: str, session: GenerationSession
    ) -> None:
        announce(
            event_signal(event_type),
            GenerationSession,
            self.using,
            session_id=session_id,
            session=session,
        )

    def _log_memory_usage(self) -> None:
        """Log counts by status and the average age; one query, none if nobody wants to know."""
        if not logger.isEnabledFor(logging.INFO):
            return
        stats = self.get_performance_stats()
        logger.info(
            "Sessions: %d/%s (avg age: %.1fh) Status: %s",
            stats["total_sessions"],
            "unlimited" if self.max_sessions is None else self.max_sessions,
            stats["average_age_hours"],
            stats["status_breakdown"],
        )
