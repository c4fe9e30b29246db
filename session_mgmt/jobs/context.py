"""What a handler gets: its parameters, its session, and writes that only the owner can make."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from session_mgmt.exceptions import LeaseLostError, SessionNotFoundError
from session_mgmt.models import GenerationSession, Job, Progress, Scene
from session_mgmt.schemas import ProgressUpdate
from session_mgmt.sessions.scenes import add_scene
from session_mgmt.signals import announce, progress_updated

if TYPE_CHECKING:
    from session_mgmt.schemas import ScenePrompt

__all__ = ["JobContext"]


class JobContext:
    """One attempt, as its handler sees it.

    Every write first touches the job's row with the condition that this attempt owns it, in the
    same transaction. So a zombie, which wakes up after its lease ran out and somebody else took
    over, can write nothing; and nobody can take over between the question and the write.

    Attributes:
        job: the row as it was claimed.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._using = job._state.db or "default"

    @property
    def parameters(self) -> dict[str, object]:
        """Return the job's parameters."""
        parameters: dict[str, object] = self.job.parameters
        return parameters

    @cached_property
    def session(self) -> GenerationSession:
        """Return the session whose work this is, read once.

        Raises:
            SessionNotFoundError: the job has none, or it was removed.
        """
        sessions = GenerationSession.objects.using(self._using)
        session = sessions.with_id(self.job.session_id).first()
        if session is None:
            raise SessionNotFoundError(self.job.session_id)
        return session

    @property
    def saved_scenes(self) -> frozenset[int]:
        """Return the numbers of the scenes that earlier attempts, or this one, have saved."""
        rows = Scene.objects.using(self._using).filter(session_id=self.job.session_id)
        return frozenset(rows.values_list("scene_number", flat=True))

    def progress(self, current_step: int, total_steps: int, description: str = "") -> None:
        """Store how far the work has come, for the job and for its session.

        Raises:
            LeaseLostError: this attempt no longer owns the job; nothing is written.
            pydantic.ValidationError: negative steps, or steps beyond the total.
        """
        update = ProgressUpdate(
            current_step=current_step, total_steps=total_steps, description=description
        )
        with transaction.atomic(using=self._using):
            self._fence(progress=update.percentage / 100, current_step=update.description)
            session_id = self.job.session_id
            if session_id and Progress.objects.using(self._using).record(session_id, update):
                announce(
                    progress_updated,
                    Progress,
                    self._using,
                    session_id=str(session_id),
                    progress=update,
                )

    def save_scene(self, scene: ScenePrompt) -> None:
        """Store a scene: a checkpoint that the next attempt finds in `saved_scenes`.

        Raises:
            LeaseLostError: this attempt no longer owns the job; nothing is written.
            InvalidInputError: not a `ScenePrompt`, or one that cannot be stored.
            SessionNotFoundError: the job has no session.
        """
        with transaction.atomic(using=self._using):
            self._fence()
            if not add_scene(self.job.session_id, scene, self._using):
                raise SessionNotFoundError(self.job.session_id)

    def _fence(self, **values: object) -> None:
        owned = Job.objects.using(self._using).owned_by(self.job)
        if not owned.update(updated_at=Now(), **values):
            raise LeaseLostError(self.job.pk, self.job.attempt)
