"""A part of a session's outcome, numbered, written once or replaced whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

from session_mgmt.models.base import BaseModel, BaseQuerySet
from session_mgmt.models.session import GenerationSession
from session_mgmt.schemas import ScenePrompt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

__all__ = ["Scene", "SceneQuerySet"]

_CONTENT = ("title", "description", "prompt", "metadata")


class SceneQuerySet(BaseQuerySet["Scene"]):
    """Write scenes."""

    def put(self, session_id: UUID, scenes: Sequence[ScenePrompt]) -> None:
        """Add the scenes, or replace those whose numbers are there; one statement.

        The caller holds the session's row, so that the session cannot be removed in between.

        Args:
            session_id: a session that exists.
            scenes: no two with the same number.
        """
        self.bulk_create(
            [
                Scene(
                    session_id=session_id,
                    scene_number=scene.scene_number,
                    **{name: getattr(scene, name) for name in _CONTENT},
                )
                for scene in scenes
            ],
            update_conflicts=True,
            update_fields=[*_CONTENT, "is_active", "updated_at"],
            unique_fields=["session", "scene_number"],
        )


class Scene(BaseModel):
    """One scene of a session.

    Attributes:
        session: where it belongs.
        scene_number: place in the story, from 1; unique within the session.
        title: a few words.
        description: the part of the story that the scene shows.
        prompt: what to ask an image or video model for.
        metadata: a JSON object of the generator's own.
    """

    session = models.ForeignKey(
        GenerationSession,
        verbose_name=_("session"),
        on_delete=models.CASCADE,
        related_name="scene_rows",
        db_index=False,
    )
    scene_number = models.PositiveIntegerField(_("number"))
    title = models.TextField(_("title"), blank=True, default="")
    description = models.TextField(_("description"), blank=True, default="")
    prompt = models.TextField(_("prompt"), blank=True, default="")
    metadata = models.JSONField(_("metadata"), blank=True, default=dict)

    objects = SceneQuerySet.as_manager()

    class Meta:
        verbose_name = _("scene")
        verbose_name_plural = _("scenes")
        ordering = ["scene_number"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "scene_number"], name="scene_number_once_per_session"
            )
        ]

    def __str__(self) -> str:
        return f"{self.scene_number}. {self.title}"

    def as_prompt(self) -> ScenePrompt:
        """Return the row as the value that the API speaks of."""
        return ScenePrompt.from_stored(
            {"scene_number": self.scene_number, **{name: getattr(self, name) for name in _CONTENT}}
        )
