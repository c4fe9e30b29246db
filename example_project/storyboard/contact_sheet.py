"""Make the page that goes with the pictures of a storyboard when it is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.template.loader import render_to_string

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from session_mgmt.schemas import ScenePrompt

__all__ = ["contact_sheet", "picture_name"]


def picture_name(scene: ScenePrompt) -> str:
    """Return the name of the scene's file; names sort in the order of the scenes up to 99."""
    return f"scene-{scene.scene_number:02d}.png"


def contact_sheet(
    title: str,
    scenes: Sequence[ScenePrompt],
    picture_name: Callable[[ScenePrompt], str] = picture_name,
) -> str:
    """Return an HTML page that shows the scenes beside their text.

    The page needs nothing but the pictures next to it: no script, no style sheet, no network.

    Args:
        title: the story's title.
        scenes: the scenes in order.
        picture_name: tells where the page finds a scene's picture, relative to itself.
    """
    panels = [{"scene": scene, "picture": picture_name(scene)} for scene in scenes]
    return render_to_string("storyboard/contact_sheet.html", {"title": title, "panels": panels})
