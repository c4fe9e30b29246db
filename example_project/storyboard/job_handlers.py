"""Draw a storyboard: the job behind the page and the command."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings

from example_project.storyboard.generators import get_generator
from example_project.storyboard.services import JOB_TYPE, store_picture
from session_mgmt import ScenePrompt
from session_mgmt.jobs import job_handler

if TYPE_CHECKING:
    from session_mgmt.jobs import JobContext

__all__ = ["draw_storyboard"]


@job_handler(JOB_TYPE)
def draw_storyboard(ctx: JobContext) -> dict[str, int]:
    """Plan the scenes and draw those that no earlier attempt has saved."""
    request = ctx.session.request_data
    generator = get_generator()
    saved = ctx.saved_scenes
    ctx.progress(len(saved), request.num_scenes, "Reading the story")
    scenes = generator.plan(request)
    for scene in scenes:
        number = scene.scene_number
        if number in saved:
            continue
        ctx.progress(number - 1, len(scenes), f"Drawing scene {number} of {len(scenes)}")
        picture = store_picture(ctx.job, scene, generator.draw(scene, request))
        # Stands in for the time that a model would take.
        time.sleep(settings.STORYBOARD_SECONDS_PER_SCENE)
        metadata = {**scene.metadata, "picture": picture}
        ctx.save_scene(ScenePrompt(**{**dict(scene), "metadata": metadata}))
    ctx.progress(len(scenes), len(scenes), "Finished")
    return {"scenes": len(scenes)}
