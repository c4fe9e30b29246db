"""`SessionManager`: the seed's interface, with its state in the database (seed 001).

Nothing but settings and a thread is kept in the process: any number of managers in any number of
processes are one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from session_mgmt.conf import CAPACITY_POLICIES, get_settings
from session_mgmt.db.write_behind import flush
from session_mgmt.exceptions import FlushError, InvalidInputError, shown
from session_mgmt.sessions.arguments import checked_interval, checked_limit, checked_wait
from session_mgmt.sessions.asynchronous import AsyncAccess
from session_mgmt.sessions.exclusive import ExclusiveAccess
from session_mgmt.sessions.monitoring import Monitoring
from session_mgmt.sessions.timer import CleanupTimer
from session_mgmt.sessions.upkeep import Upkeep

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

__all__ = ["SessionManager", "session_manager"]

logger = logging.getLogger(__name__)


class SessionManager(Upkeep, ExclusiveAccess, Monitoring, AsyncAccess):
    """Create, read, change, count and remove sessions.

    Session ids are taken as text or UUID; an id that is unknown or malformed gives the seed's
    None or False, and a warning in the log.

    The limit holds for all sessions of the database, whoever created them, and for the creations
    by managers that have it.

    Args:
        max_sessions: how many sessions there may be; None means any number.
        cleanup_interval: seconds between clean-ups in a thread of this process, which starts with
            the first session that this manager creates there; None means no thread.
        policy: what to do where there is no room: "evict" removes expired sessions, then the
            oldest finished ones, then the oldest; "reject" raises SessionCapacityError.
        using: database alias of all it does.

    Raises:
        InvalidInputError: an argument is refused.
    """

    def __init__(
        self,
        max_sessions: int | None = 100,
        cleanup_interval: float | timedelta | None = 3600,
        policy: str = "evict",
        *,
        using: str = "default",
    ) -> None:
        self.using = using
        self._max_sessions = checked_limit(max_sessions)
        self._cleanup_interval = checked_interval(cleanup_interval)
        if policy not in CAPACITY_POLICIES:
            raise InvalidInputError("policy", f"must be 'evict' or 'reject', not {shown(policy)}")
        self._policy = policy
        self._cleanup_timer = CleanupTimer(
            self._clean_up_in_background, lambda: self.cleanup_interval
        )

    @classmethod
    def create_with_config(cls, config: Mapping[str, object]) -> Self:
        """Make a manager from a dict with `max_sessions` and `cleanup_interval`, both optional."""
        known = ("max_sessions", "cleanup_interval", "policy")
        if not isinstance(config, Mapping):
            raise InvalidInputError("config", f"must be a dict, not {shown(config)}")
        if unknown := [name for name in config if name not in known]:
            problem = f"has no key {shown(unknown[0])}; known are {', '.join(known)}"
            raise InvalidInputError("config", problem)
        return cls(**config)  # type: ignore[arg-type] # the constructor checks them

    @property
    def max_sessions(self) -> int | None:
        """Return how many sessions there may be, None for any number."""
        return self._max_sessions

    @property
    def cleanup_interval(self) -> float | None:
        """Return the seconds between clean-ups in the background, None for never."""
        return self._cleanup_interval

    @property
    def policy(self) -> str:
        """Return what is done where there is no room: "evict" or "reject"."""
        return self._policy

    @property
    def cleanup_active(self) -> bool:
        """Tell whether the thread that cleans up runs in this process."""
        return self._cleanup_timer.is_alive()

    def reserve_place(self, *, thoroughly: bool) -> bool:
        """Tell whether one more session may be created; start the thread that cleans up."""
        if self.cleanup_interval is not None:
            self._cleanup_timer.start()
        return super().reserve_place(thoroughly=thoroughly)

    def reconfigure(
        self,
        max_sessions: int | None = None,
        cleanup_interval: float | timedelta | None = None,
    ) -> None:
        """Change the limit, or the interval from the next wait on; None leaves it as it is.

        A smaller limit removes expired sessions at once, and with the policy "evict" whatever is
        above it.

        Raises:
            InvalidInputError: an argument is refused; nothing is changed.
        """
        before = self.max_sessions
        limit = checked_limit(max_sessions)
        interval = checked_interval(cleanup_interval)
        if interval is not None:
            self._cleanup_interval = interval
        if limit is not None:
            self._max_sessions = limit
            logger.info("Max sessions: %s -> %s", before, limit)
            if before is None or limit < before:
                self.cleanup_expired_sessions()
                self._trim()

    def shutdown(self, timeout: float = 30) -> bool:
        """Stop the background clean-up and write what is buffered; the sessions stay.

        Harmless twice; the manager can be used afterwards.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether everything came to its end in time.
        """
        timeout = checked_wait("timeout", timeout)
        deadline = time.monotonic() + timeout
        stopped = self._cleanup_timer.stop(timeout)
        if not stopped:
            logger.warning("The cleanup thread did not stop in %s s", timeout)
        try:
            flush(max(0.0, deadline - time.monotonic()))
        except FlushError:
            logger.exception("A shutdown leaves buffered items behind")
            return False
        return stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()


class SiteSessionManager(SessionManager):
    """The manager that takes its values from the settings whenever it needs them."""

    def __init__(self) -> None:
        super().__init__(None, None)

    @property
    def max_sessions(self) -> int | None:
        """Return MAX_SESSIONS unless it was reconfigured."""
        return get_settings().MAX_SESSIONS if self._max_sessions is None else self._max_sessions

    @property
    def cleanup_interval(self) -> float | None:
        """Return CLEANUP_INTERVAL in seconds unless it was reconfigured."""
        interval = get_settings().CLEANUP_INTERVAL
        own = self._cleanup_interval
        return own if own is not None or interval is None else interval.total_seconds()

    @property
    def policy(self) -> str:
        """Return CAPACITY_POLICY."""
        return get_settings().CAPACITY_POLICY


session_manager = SiteSessionManager()
