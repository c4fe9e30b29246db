"""What happened to a session, append-only and numbered without gaps."""

from __future__ import annotations

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from session_mgmt.db.returning import update_returning
from session_mgmt.models.session import GenerationSession

__all__ = ["SessionEvent", "SessionEventQuerySet"]


class SessionEventQuerySet(models.QuerySet["SessionEvent"]):
    """Append and replay."""

    def append(
        self,
        session: models.QuerySet[GenerationSession],
        kind: str,
        data: dict[str, object] | None = None,
        **changes: object,
    ) -> SessionEvent | None:
        """Add a session's next event, and change its row, if it still matches; two statements.

        The number comes from the session's own row, which stays locked until the transaction
        ends. So events are numbered in the order in which they commit, and a reader that has seen
        number n will never miss a smaller one: a counter shared by all sessions, or a sequence,
        would let a later number be seen first.

        Args:
            session: at most one session, by primary key, with the condition for the change.
            kind: what happened.
            data: a JSON object.
            changes: columns of the session to change in the same UPDATE.

        Returns:
            The event with its session as it is now, or None when nothing matched.
        """
        self._for_write = True
        with transaction.atomic(using=self.db):
            now = timezone.now()
            updated = update_returning(
                session,
                last_event=F("last_event") + 1,
                last_accessed=now,
                updated_at=now,
                **changes,
            )
            if not updated:
                return None
            return self.create(
                session=updated[0], seq=updated[0].last_event, kind=kind, data=data or {}
            )

    def after(self, seq: int) -> models.QuerySet[SessionEvent]:
        """Keep the events that a reader who has seen number `seq` has not seen, in order."""
        return self.filter(seq__gt=seq).order_by("seq")


class SessionEvent(models.Model):
    """One thing that happened.

    Attributes:
        session: to whom.
        seq: 1, 2, 3, … within the session.
        kind: session_created, status_changed, scene_added or scenes_replaced.
        data: a JSON object: the new `status`, the `scene_number`, the `scene_numbers`.
        created_at: when it was written.
    """

    session = models.ForeignKey(
        GenerationSession,
        verbose_name=_("session"),
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,
    )
    seq = models.PositiveIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=50)
    data = models.JSONField(_("data"), blank=True, default=dict)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = SessionEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.UniqueConstraint(fields=["session", "seq"], name="event_seq_once_per_session")
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"
