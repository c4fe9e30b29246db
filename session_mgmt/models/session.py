"""A piece of long-running work as a durable row (seed 001)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, overload
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from session_mgmt.conf import auth_user_model, get_settings
from session_mgmt.models.base import BaseModel, BaseQuerySet, new_id
from session_mgmt.models.fields import RequestField, StatusField
from session_mgmt.models.tracking import ProgressTracker
from session_mgmt.states import GenerationStatus, JobStatus, sources_of
from session_mgmt.validation import checked_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from session_mgmt.schemas import ProgressUpdate, ScenePrompt

__all__ = ["GenerationSession", "GenerationSessionQuerySet", "parse_id"]

T = TypeVar("T")


def parse_id(session_id: object) -> UUID | None:
    """Return a session's id as a UUID, None if it cannot be one."""
    if isinstance(session_id, UUID):
        return session_id
    try:
        return UUID(session_id) if isinstance(session_id, str) else None
    except ValueError:
        return None


class GenerationSessionQuerySet(BaseQuerySet["GenerationSession"]):
    """Find sessions."""

    def with_id(self, session_id: object) -> Self:
        """Keep the session with this id, text or UUID; a malformed id matches nothing."""
        parsed = parse_id(session_id)
        return self.none() if parsed is None else self.filter(pk=parsed)

    def with_status(self, status: GenerationStatus) -> Self:
        """Keep the sessions that stand there.

        Raises:
            InvalidInputError: there is no such status.
        """
        return self.filter(status=checked_status(status))

    def able_to_become(self, status: GenerationStatus) -> Self:
        """Keep the sessions that the transition table lets move to `status`."""
        return self.filter(status__in=sources_of(status))

    def stuck(self) -> Self:
        """Keep the sessions that are processed and gave no sign of life for `STUCK_AFTER`.

        Signs of life are an access, a step of progress, and a job whose worker renews its lease.
        """
        cutoff = timezone.now() - get_settings().STUCK_AFTER
        return self.filter(
            ~self._with("progress_row", updated_at__gte=cutoff),
            ~self._with("jobs", status=JobStatus.RUNNING, lease_expires_at__gt=Now()),
            status=GenerationStatus.PROCESSING,
            last_accessed__lt=cutoff,
        )

    def _with(self, related: str, **conditions: object) -> Exists:
        # By their names on this side: their models know this one, so it cannot import them.
        rows = self.model._meta.get_field(related).related_model._base_manager  # type: ignore[union-attr] # a model
        return Exists(rows.filter(session=OuterRef("pk"), **conditions))


class GenerationSession(BaseModel):
    """One piece of work, from the request that started it to its end.

    Attributes:
        id: time-ordered where Python can make such ids.
        owner: who may watch it; null for work that nobody in particular asked for.
        status: see `GenerationStatus`; changed by `SessionManager` and by the job's runner only.
        request_data: the validated request; a `GenerationRequest` in Python, JSON in the table.
        error_message: why it failed, for a person to read.
        renewed_at: when it was last renewed; null when it never was.
        age_from: what its age is counted from: `renewed_at`, else `created_at`; the database's.
        last_accessed: last read or write, at most `TOUCH_INTERVAL` behind.
        finished_at: when it reached a terminal status.
        last_event: number of the newest event; incremented under the row's lock, so that
            events are numbered in the order in which they are committed.
        idempotency_key: what the caller named the start; empty when it did not.
        request_fingerprint: hash of the request, to notice another request under the same key.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(
        auth_user_model(),
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
    )
    status: StatusField[GenerationStatus | str, GenerationStatus] = StatusField(
        GenerationStatus, verbose_name=_("status"), default=GenerationStatus.PENDING
    )
    request_data = RequestField(_("request"))
    error_message = models.TextField(_("error"), blank=True, default="")
    renewed_at = models.DateTimeField(_("renewed"), null=True, blank=True, editable=False)
    age_from = models.GeneratedField(
        expression=Coalesce("renewed_at", "created_at"),
        output_field=models.DateTimeField(),
        db_persist=True,
        verbose_name=_("age counted from"),
    )
    last_accessed = models.DateTimeField(_("last accessed"), default=timezone.now, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True, editable=False)
    last_event = models.PositiveIntegerField(_("last event"), default=0, editable=False)
    idempotency_key = models.CharField(
        _("idempotency key"), max_length=200, blank=True, default="", editable=False
    )
    request_fingerprint = models.CharField(
        _("request fingerprint"), max_length=64, blank=True, default="", editable=False
    )

    objects = GenerationSessionQuerySet.as_manager()

    # What is not a column and is being changed under the row's lock; None outside of that.
    draft: dict[str, object] | None = None

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=GenerationStatus.values), name="session_status_known"
            ),
            models.UniqueConstraint(
                fields=["owner", "idempotency_key"],
                condition=Q(owner__isnull=False) & ~Q(idempotency_key=""),
                name="session_key_per_owner",
            ),
            models.UniqueConstraint(
                fields=["idempotency_key"],
                condition=Q(owner__isnull=True) & ~Q(idempotency_key=""),
                name="session_key_without_owner",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="session_of_owner_idx"),
            models.Index(fields=["status", "age_from"], name="session_status_age_idx"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def save(self, **options: Any) -> None:  # Any: as Django's
        """Save as Django does, but never put back the number of an earlier event."""
        whole = options.get("update_fields") is None and not options.get("force_insert")
        if whole and not self._state.adding:
            fields = (f for f in self._meta.concrete_fields if not (f.primary_key or f.generated))
            names = {f.name for f in fields if f.attname not in self.get_deferred_fields()}
            options["update_fields"] = names - {"last_event"}
        super().save(**options)

    @property
    def session_id(self) -> str:
        """Return the id as text (the seed's name for it)."""
        return str(self.pk)

    @property
    def progress(self) -> ProgressUpdate | None:
        """Return how far the work has come, None until the first step was reported."""
        if self.draft is not None and "progress" in self.draft:
            return self.draft["progress"]  # type: ignore[return-value] # checked when it is saved
        try:
            return self.progress_row.as_update()
        except ObjectDoesNotExist:
            return None

    @progress.setter
    def progress(self, progress: ProgressUpdate | None) -> None:
        self._change("progress", progress)

    @property
    def scenes(self) -> list[ScenePrompt]:
        """Return the scenes by number; one query unless `scene_rows` was prefetched."""
        if self.draft is None:
            return [row.as_prompt() for row in self.scene_rows.all()]
        if "scenes" not in self.draft:
            self.draft["scenes"] = [row.as_prompt() for row in self.scene_rows.all()]
            self.draft["scenes_before"] = [*self.scenes]
        return self.draft["scenes"]  # type: ignore[return-value] # checked when it is saved

    @scenes.setter
    def scenes(self, scenes: list[ScenePrompt]) -> None:
        self._change("scenes", scenes)

    def _change(self, name: str, value: object) -> None:
        if self.draft is None:
            raise AttributeError(f"{name} can be set inside SessionManager.with_session_lock only")
        self.draft[name] = value

    def get_age_hours(self) -> float:
        """Return the hours since the session was renewed or, if it never was, created."""
        return (timezone.now() - (self.renewed_at or self.created_at)).total_seconds() / 3600

    @overload
    def track(
        self, iterable: None = None, *, description: str = "", total: int | None = None
    ) -> ProgressTracker[None]: ...

    @overload
    def track(
        self,
        iterable: Iterable[T] | AsyncIterable[T],
        *,
        description: str = "",
        total: int | None = None,
    ) -> ProgressTracker[T]: ...

    def track(
        self,
        iterable: Iterable[T] | AsyncIterable[T] | None = None,
        *,
        description: str = "",
        total: int | None = None,
    ) -> ProgressTracker[T]:
        """Follow the work: `for item in session.track(items)`, or `with ... as progress` and step.

        See `ProgressTracker`, also for `async for` and `async with`.

        Args:
            iterable: what is worked on; a step is made after each item.
            description: what is being done, for a person to read.
            total: steps in all; None takes the iterable's length, and 0 means not known.

        Raises:
            InvalidInputError: an argument is refused, or the session was never saved.
        """
        return ProgressTracker(self, iterable, description=description, total=total)
