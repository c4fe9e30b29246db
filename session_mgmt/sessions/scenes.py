"""Write a session's scenes together with the event that tells of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction

from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.models import GenerationSession, Scene, SessionEvent
from session_mgmt.schemas import ScenePrompt
from session_mgmt.signals import announce, scene_added

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_scene", "replace_scenes"]


def add_scene(session_id: object, scene: ScenePrompt, using: str) -> bool:
    """Add or replace one scene; False if there is no such session; three statements."""
    (checked,) = _checked([scene])
    with transaction.atomic(using=using):
        event = SessionEvent.objects.using(using).append(
            GenerationSession.objects.using(using).with_id(session_id),
            "scene_added",
            {"scene_number": checked.scene_number},
        )
        if event is None:
            return False
        Scene.objects.using(using).put(event.session_id, [checked])
        _announce(event.session, [checked], using)
    return True


def replace_scenes(session_id: object, scenes: Iterable[ScenePrompt], using: str) -> bool:
    """Make these the only scenes; False if there is no such session; four statements."""
    checked = _checked(scenes)
    numbers = [scene.scene_number for scene in checked]
    with transaction.atomic(using=using):
        event = SessionEvent.objects.using(using).append(
            GenerationSession.objects.using(using).with_id(session_id),
            "scenes_replaced",
            {"scene_numbers": numbers},
        )
        if event is None:
            return False
        rows = Scene.objects.using(using)
        rows.filter(session=event.session).exclude(scene_number__in=numbers).delete()
        rows.put(event.session_id, checked)
        _announce(event.session, checked, using)
    return True


def _checked(given: Iterable[ScenePrompt]) -> list[ScenePrompt]:
    if not isinstance(given, Iterable):
        raise InvalidInputError("scenes", f"must be ScenePrompt objects, not {shown(given)}")
    scenes = []
    for scene in given:
        if not isinstance(scene, ScenePrompt):
            raise InvalidInputError(
                "scenes", f"must be ScenePrompt objects, not {type(scene).__name__}"
            )
        scenes.append(scene.rechecked("scenes"))
    if len({scene.scene_number for scene in scenes}) < len(scenes):
        raise InvalidInputError("scenes", "two of them have the same scene_number")
    return scenes


def _announce(session: GenerationSession, scenes: Sequence[ScenePrompt], using: str) -> None:
    for scene in scenes:
        announce(
            scene_added,
            Scene,
            using,
            session_id=session.session_id,
            scene_number=scene.scene_number,
        )
