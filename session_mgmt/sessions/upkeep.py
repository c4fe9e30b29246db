"""What `SessionManager` does to all sessions: keep their number down, remove what has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from session_mgmt.models import GenerationSession
from session_mgmt.sessions.arguments import checked_hours
from session_mgmt.sessions.capacity import make_place, take_place, trim
from session_mgmt.sessions.cleanup import clean_up, prune_tokens
from session_mgmt.sessions.configuration import Configuration
from session_mgmt.sessions.expiry import Rule, expiry_rules, moment_ago, rules_for_all
from session_mgmt.sessions.removal import remove_oldest
from session_mgmt.states import GenerationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Upkeep"]


class Upkeep(Configuration):
    """Limit the number of sessions and remove those that are not wanted any more."""

    def reserve_place(self, *, thoroughly: bool) -> bool:
        """Answer as `Configuration` says, by the stripes of `session_mgmt.sessions.capacity`."""
        if self.max_sessions is None:
            return True
        if not thoroughly:
            return take_place(self.max_sessions, self.using)
        make_place(self.max_sessions, self.policy, self.using)
        return True

    def cleanup_expired_sessions(self, max_age_hours: float | None = None) -> int:
        """Remove the sessions that have expired, and return how many.

        They are older than `max_age_hours`, or failed and older than FAILED_MAX_AGE, or completed
        and older than COMPLETED_MAX_AGE. One that is renewed meanwhile stays. Each chunk is a
        transaction of its own, unless the caller has one open.

        Args:
            max_age_hours: None takes MAX_AGE of the settings.

        Raises:
            InvalidInputError: not a number of hours, 0 or more.
        """
        max_age = None if max_age_hours is None else checked_hours("max_age_hours", max_age_hours)
        return self._clean_up(expiry_rules(max_age))

    def cleanup_failed_sessions(self) -> int:
        """Remove all failed sessions, however young, and return how many."""
        return self._clean_up(rules_for_all([GenerationStatus.FAILED]), expired=False)

    def cleanup_completed_sessions(self, max_age_hours: float = 6) -> int:
        """Remove the completed sessions that are older than that, and return how many.

        Raises:
            InvalidInputError: not a number of hours, 0 or more.
        """
        before = moment_ago(checked_hours("max_age_hours", max_age_hours))
        return self._clean_up([Rule("completed", GenerationStatus.COMPLETED, before)])

    def force_cleanup_all(self) -> int:
        """Remove all sessions, whatever they are, and return how many.

        Those on which somebody writes at this very moment are left: call it again.
        """
        return self._clean_up(rules_for_all(GenerationStatus), expired=False)

    def _clean_up(
        self,
        rules: Iterable[Rule],
        *,
        expired: bool = True,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> int:
        return clean_up(rules, self.using, expired=expired, should_stop=should_stop).total

    def _trim(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        if self.max_sessions is not None and self.policy == "evict":
            trim(self.max_sessions, self.using, should_stop=should_stop)

    def _clean_up_in_background(self, should_stop: Callable[[], bool]) -> None:
        self._clean_up(expiry_rules(), should_stop=should_stop)
        self._trim(should_stop)
        prune_tokens(self.using)

    def _cleanup_expired_sessions(self, max_age_hours: float = 24) -> int:
        """Remove expired sessions (the seed's own name)."""
        return self.cleanup_expired_sessions(max_age_hours)

    def _remove_oldest_session(self) -> bool:
        """Remove the session that is the oldest; False if there is none (the seed's own name)."""
        rows = GenerationSession.objects.using(self.using)
        with transaction.atomic(using=self.using):
            return bool(remove_oldest(rows.all(), 1).removed)
