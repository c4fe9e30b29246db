"""How many sessions may still be created without counting them: shares of the room that is left."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ["CapacityStripe"]


class CapacityStripe(models.Model):
    """A share of the room below a limit; see `session_mgmt.sessions.capacity`.

    Attributes:
        id: 0, 1, 2, … up to the number of stripes.
        free: sessions that may be created from this share; each takes one in its transaction.
        max_sessions: the limit that the shares were cut for.
        counted_at: when the sessions were last counted for it.
    """

    id = models.PositiveSmallIntegerField(_("number"), primary_key=True)
    free = models.PositiveIntegerField(_("free"))
    max_sessions = models.PositiveIntegerField(_("limit"))
    counted_at = models.DateTimeField(_("counted"))

    class Meta:
        verbose_name = _("capacity stripe")
        verbose_name_plural = _("capacity stripes")

    def __str__(self) -> str:
        return f"{self.pk}: {self.free}"
