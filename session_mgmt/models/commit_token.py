"""What `run_in_transaction` with a token leaves behind: proof that the work has committed."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from session_mgmt.db.tokens import MAX_TOKEN, TABLE

__all__ = ["CommitToken"]


class CommitToken(models.Model):
    """A row is needed for as long as the same work may be sent again; delete it after that.

    Attributes:
        token: names the work.
        holder: names the call that committed it.
        created_at: when its transaction began.
    """

    token = models.CharField(_("token"), max_length=MAX_TOKEN, primary_key=True)
    holder = models.CharField(_("holder"), max_length=32)
    created_at = models.DateTimeField(_("created"))

    class Meta:
        db_table = TABLE
        verbose_name = _("commit token")
        verbose_name_plural = _("commit tokens")

    def __str__(self) -> str:
        return self.token
