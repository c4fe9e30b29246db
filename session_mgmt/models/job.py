"""A run of a piece of work on a target: who may run it, and how it went (seed 002)."""

from __future__ import annotations

from typing import Any, Final

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from session_mgmt.models import job_creation
from session_mgmt.models.base import BaseModel
from session_mgmt.models.fields import StatusField
from session_mgmt.models.job_queries import JobQuerySet
from session_mgmt.models.session import GenerationSession
from session_mgmt.states import ACTIVE_JOB_STATUSES, JobStatus

__all__ = ["Job"]

_EDITABLE: Final = (
    "session",
    "parameters",
    "max_retries",
    "run_after",
    "priority",
    "is_active",
    "updated_at",
)
_ALL_FOUR: Final = 4  # positional arguments of Model.save, of which update_fields is the last


class Job(BaseModel):
    """One run of `job_type` on `target_id`; a run that ended never becomes active again.

    Attributes:
        session: whose work this is; null for a job of its own.
        job_type: the name under which its handler is registered.
        target_id: what it works on.
        run_number: 1, 2, 3, … for each target; the unique constraint on it makes creation safe.
        parameters: a JSON object for the handler.
        status: see `JobStatus`.
        progress: 0 to 1.
        current_step: what is being done, for a person to read.
        attempt: how often the job has been claimed; the fence of every write of an attempt.
        given_back: how many attempts ended only because their worker stopped; they are not counted
            against `max_retries`.
        max_retries: how many attempts may follow the first; null leaves it to the handler.
        lease_expires_at: when the running attempt loses the job unless it renews its lease.
        run_after: not to be started before; null means at once.
        dispatched_at: when the engine was last told about it, or when it is due if that is later;
            null when it must be told.
        updated_at: when its status changed or its attempt wrote; a heartbeat, a request to stop and
            telling the engine are no change.
        cancel_requested_at: when somebody asked the running attempt to stop.
        priority: -100 to 100, larger is sooner, as far as the engine minds it.
        result: what the handler returned.
        error_message: how the last attempt failed.
        started_at: when it was first claimed.
        finished_at: when it reached a final status.
    """

    session = models.ForeignKey(
        GenerationSession,
        verbose_name=_("session"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="jobs",
    )
    job_type = models.CharField(_("type"), max_length=job_creation.MAX_JOB_TYPE)
    target_id = models.CharField(_("target"), max_length=job_creation.MAX_TARGET_ID)
    run_number = models.PositiveIntegerField(_("run"))
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    status: StatusField[JobStatus | str, JobStatus] = StatusField(
        JobStatus, verbose_name=_("status"), default=JobStatus.PENDING
    )
    progress = models.FloatField(_("progress"), default=0.0)
    current_step = models.TextField(_("current step"), blank=True, default="")
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    given_back = models.PositiveIntegerField(_("given back"), default=0, db_default=0)
    max_retries = models.PositiveIntegerField(_("retries"), null=True, blank=True)
    lease_expires_at = models.DateTimeField(_("lease expires"), null=True, blank=True)
    run_after = models.DateTimeField(_("run after"), null=True, blank=True)
    dispatched_at = models.DateTimeField(_("dispatched"), null=True, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True, blank=True)
    priority = models.SmallIntegerField(_("priority"), default=0)
    result = models.JSONField(_("result"), null=True, blank=True)
    error_message = models.TextField(_("error"), blank=True, default="")
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [
            models.UniqueConstraint(
                fields=["job_type", "target_id", "run_number"], name="job_run_once_per_target"
            ),
            models.CheckConstraint(
                condition=Q(status__in=JobStatus.values), name="job_status_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["dispatched_at"],
                condition=Q(status=JobStatus.PENDING),
                name="job_pending_idx",
            ),
            models.Index(
                fields=["id"], condition=Q(status=JobStatus.RUNNING), name="job_running_idx"
            ),
            models.Index(
                fields=["session"],
                condition=Q(status__in=ACTIVE_JOB_STATUSES, session__isnull=False),
                name="job_unfinished_idx",
            ),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:  # Any: as Model.save
        """Save what a person may change; where the job stands is written by guarded UPDATEs only.

        So an attempt that has lost its job, or a form that was open for an hour, puts nothing back.
        With `update_fields` it is as it always is.
        """
        if not self._state.adding and kwargs.get("update_fields") is None and len(args) < _ALL_FOUR:
            kwargs["update_fields"] = _EDITABLE
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return f"{self.job_type} {self.target_id} #{self.run_number}"
