"""How far a session has come: one narrow row that is written often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from session_mgmt.models.pace import seconds_left
from session_mgmt.models.progress_flush import ProgressState, store_newest
from session_mgmt.models.session import GenerationSession
from session_mgmt.schemas import ProgressUpdate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

__all__ = ["Progress", "ProgressQuerySet"]


class ProgressQuerySet(models.QuerySet["Progress"]):
    """Write progress."""

    def record(self, session_id: UUID, update: ProgressUpdate) -> bool:
        """Store how far a session has come; False when there is no such session.

        It replaces what is there, and nothing that was measured before is written after it. The
        rate becomes unknown: whoever writes directly has not measured one.

        One UPDATE of one narrow row, except for a session's first step, which locks the session
        so that it cannot be removed in between. Whoever changes the session too in one transaction
        does that first: others lock the session before its progress.
        """
        self._for_write = True
        values = {
            **update.model_dump(exclude={"percentage"}),
            "rate": None,
            "updated_at": timezone.now(),
        }
        if self.filter(session_id=session_id).update(**values):
            return True
        with transaction.atomic(using=self.db):
            sessions = GenerationSession.objects.using(self.db)
            if not sessions.select_for_update(no_key=True).filter(pk=session_id).exists():
                return False
            self.update_or_create(session_id=session_id, defaults=values)
        return True

    def record_many(self, states: Iterable[ProgressState]) -> list[UUID]:
        """Store how far sessions have come, unless something newer is stored; one statement.

        Sessions that do not exist are left out. Two such calls never deadlock.

        Args:
            states: no two of one session.

        Returns:
            The ids of the sessions whose progress was written.
        """
        self._for_write = True
        return store_newest(self.model, self.db, states)


class Progress(models.Model):
    """Kept apart from the wide session row, with no index on what changes.

    PostgreSQL can then update it in place (HOT); the migration leaves room in each page for it.

    Attributes:
        session: whose progress this is; also the primary key.
        current_step: steps done.
        total_steps: steps in all; 0 means not known.
        description: what is being done, for a person to read.
        rate: steps a second, as whoever tracks them measured it; null when nobody did.
        updated_at: when the newest step was made.
    """

    session = models.OneToOneField(
        GenerationSession,
        verbose_name=_("session"),
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="progress_row",
    )
    current_step = models.PositiveIntegerField(_("current step"))
    total_steps = models.PositiveIntegerField(_("total steps"))
    description = models.TextField(_("description"), blank=True)
    rate = models.FloatField(_("steps per second"), null=True, blank=True)
    updated_at = models.DateTimeField(_("updated"))

    objects = ProgressQuerySet.as_manager()

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")
        constraints = [
            models.CheckConstraint(
                condition=Q(total_steps=0) | Q(current_step__lte=F("total_steps")),
                name="progress_within_total",
            )
        ]

    def __str__(self) -> str:
        return f"{self.current_step}/{self.total_steps}"

    def as_update(self) -> ProgressUpdate:
        """Return the row as the value that the API speaks of."""
        return ProgressUpdate.from_stored(
            {
                "current_step": self.current_step,
                "total_steps": self.total_steps,
                "description": self.description,
            }
        )

    def seconds_left(self) -> float | None:
        """Return the seconds until all steps are made, None while nobody can know.

        It is what the rate promised at the newest step, less the time since then; 0 when that is
        over, and never negative.
        """
        waited = (timezone.now() - self.updated_at).total_seconds()
        return seconds_left(self.current_step, self.total_steps, self.rate, waited)
