"""When a session has expired: by its status and its age (seed 001)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from session_mgmt.conf import get_settings
from session_mgmt.models import GenerationSession
from session_mgmt.states import GenerationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["Rule", "expiry_rules", "moment_ago", "rules_for_all"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Sessions of one status go when they are older than this.

    Attributes:
        reason: "max_age", "completed", "failed", or "all" whatever its age.
        status: whose rule it is.
        before: their age counts from before this moment.
    """

    reason: str
    status: GenerationStatus
    before: datetime

    def sessions(self, using: str) -> GenerationSessionQuerySet:
        """Return those to which it applies; one range of the index (status, age_from)."""
        rows = GenerationSession.objects.using(using)
        return rows.filter(status=self.status, age_from__lt=self.before)


def expiry_rules(
    max_age: timedelta | None = None,
    completed_max_age: timedelta | None = None,
    failed_max_age: timedelta | None = None,
) -> list[Rule]:
    """Return a rule for each status; what is None comes from the settings.

    Nothing outlives `max_age`, so of two ages the smaller counts.
    """
    limits = get_settings()
    oldest = limits.MAX_AGE if max_age is None else max_age
    ages = dict.fromkeys(GenerationStatus, oldest)
    completed = limits.COMPLETED_MAX_AGE if completed_max_age is None else completed_max_age
    failed = limits.FAILED_MAX_AGE if failed_max_age is None else failed_max_age
    ages[GenerationStatus.COMPLETED] = min(oldest, completed)
    ages[GenerationStatus.FAILED] = min(oldest, failed)
    return [
        Rule("max_age" if age == oldest else status.value, status, moment_ago(age))
        for status, age in ages.items()
    ]


def moment_ago(age: timedelta) -> datetime:
    """Return the moment that lies so long back, or the first one there is."""
    try:
        return timezone.now() - age
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def rules_for_all(statuses: Iterable[GenerationStatus]) -> list[Rule]:
    """Return rules by which every session of these statuses goes, however young.

    Those that are created or renewed from now on are left, or the end would never be reached.
    """
    now = timezone.now()
    return [Rule("all", status, now) for status in statuses]
