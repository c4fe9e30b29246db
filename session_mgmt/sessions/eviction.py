"""Make room for new sessions by removing old ones (seed 001)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from session_mgmt.models import GenerationSession
from session_mgmt.sessions.expiry import expiry_rules
from session_mgmt.sessions.removal import Remaining, remove_oldest
from session_mgmt.states import GenerationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["MOST_EVICTED_AT_ONCE", "evict"]

logger = logging.getLogger(__name__)

MOST_EVICTED_AT_ONCE: Final = 1000
_LONGEST_EVICTION: Final = 1.0
_FINISHED: Final = tuple(status for status in GenerationStatus if status.is_terminal)


def evict(wanted: int, max_sessions: int, using: str) -> int:
    """Remove so many sessions if they are to be had, a thousand at most, and return how many.

    Expired ones go first, all of them up to that thousand; then the oldest finished ones; then the
    oldest. It takes about a second at most.
    """
    wanted = min(wanted, MOST_EVICTED_AT_ONCE)
    # Everybody who creates a session waits meanwhile.
    deadline = time.monotonic() + _LONGEST_EVICTION
    gone = 0
    for rule in expiry_rules():
        most = MOST_EVICTED_AT_ONCE - gone
        if most > 0 and time.monotonic() < deadline:
            gone += remove_oldest(rule.sessions(using), most, expired=True).removed
    for statuses in (_FINISHED, tuple(GenerationStatus)):
        for sessions in _oldest(statuses, wanted - gone, using):
            gone += _remove(sessions, wanted - gone, deadline)
    if gone:
        logger.warning("Removed %d sessions to keep the limit of %d", gone, max_sessions)
    return gone


def _remove(sessions: GenerationSessionQuerySet, number: int, deadline: float) -> int:
    """Remove the oldest; where some are in use, the ones that come next."""
    gone = 0
    remaining = Remaining(sessions)
    while gone < number and time.monotonic() < deadline:
        part = remove_oldest(remaining.sessions, number - gone)
        gone += part.removed
        if part.is_last:
            break
        remaining.go_on_after(part)
    return gone


def _oldest(
    statuses: Iterable[GenerationStatus], number: int, using: str
) -> list[GenerationSessionQuerySet]:
    """Return the oldest sessions of several statuses, and then any, should those be in use.

    Each part is a range of the index (status, age_from).
    """
    if number <= 0:
        return []
    parts = [GenerationSession.objects.using(using).filter(status=status) for status in statuses]
    ages = sorted(
        age
        for part in parts
        for age in part.order_by("age_from").values_list("age_from", flat=True)[:number]
    )[:number]
    oldest = [part.filter(age_from__lte=ages[-1]) for part in parts] if ages else []
    return oldest + parts
