"""What a step of a job gave: a checkpoint that later attempts do not work out again."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from session_mgmt.models.job import Job

__all__ = ["MAX_STEP_NAME", "JobStep"]

MAX_STEP_NAME: Final = 200


class JobStep(models.Model):
    """One step that a job has done.

    Attributes:
        job: whose step it is.
        name: how the handler calls it; unique within the job.
        result: what the step's function returned.
        created_at: when it was stored.
    """

    job = models.ForeignKey(
        Job,
        verbose_name=_("job"),
        on_delete=models.CASCADE,
        related_name="steps",
        db_index=False,
    )
    name = models.CharField(_("name"), max_length=MAX_STEP_NAME)
    result = models.JSONField(_("result"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("job step")
        verbose_name_plural = _("job steps")
        constraints = [models.UniqueConstraint(fields=["job", "name"], name="step_once_per_job")]

    def __str__(self) -> str:
        return self.name
