"""Handlers that the tests of jobs register, in the test's process and in workers."""

from session_mgmt import ScenePrompt


def echo(job):
    return {"parameters": job.parameters}


def raise_error(job):
    raise ValueError(job.parameters.get("text", "no luck"))


def return_rubbish(job):
    return object()


def three_scenes(job):
    saved = job.saved_scenes
    for number in (1, 2, 3):
        if number not in saved:
            job.progress(number - 1, 3, f"Scene {number}")
            job.save_scene(ScenePrompt(scene_number=number, metadata={"attempt": job.job.attempt}))
