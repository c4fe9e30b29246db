"""Start a storyboard and put a finished one into files; what the page and the command share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from example_project.storyboard.contact_sheet import contact_sheet, picture_name
from example_project.storyboard.pictures import FOLDER
from session_mgmt.models import GenerationSession, Job
from session_mgmt.sessions import session_manager

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.auth.models import AbstractBaseUser

    from session_mgmt.schemas import GenerationRequest, ScenePrompt

__all__ = [
    "JOB_TYPE",
    "board_files",
    "read_picture",
    "start_storyboard",
    "store_picture",
    "title_of",
]

JOB_TYPE: Final = "storyboard"
_TITLE_LENGTH: Final = 60


def start_storyboard(
    request: GenerationRequest, *, owner: AbstractBaseUser | None = None, idempotency_key: str = ""
) -> GenerationSession:
    """Create the session and its job in one transaction; the same key starts one storyboard."""
    with transaction.atomic():
        session = session_manager.start(request, owner=owner, idempotency_key=idempotency_key)
        Job.objects.create_if_not_exists(
            JOB_TYPE, session.session_id, session=session, check_statuses=None
        )
    return session


def title_of(session: GenerationSession) -> str:
    """Return the first words of the story."""
    line = session.request_data.story_text.strip().splitlines()[0]
    if len(line) <= _TITLE_LENGTH:
        return line
    return line[:_TITLE_LENGTH].rsplit(" ", 1)[0] + "…"


def store_picture(job: Job, scene: ScenePrompt, content: bytes) -> str:
    """Write a scene's picture and return the name under which the storage has it.

    Each attempt has files of its own: one that was cut off in the middle of a file, or that wakes
    up after another took over, cannot spoil what is saved.
    """
    folder = f"{FOLDER}/{job.session_id}/attempt-{job.attempt}"
    return default_storage.save(f"{folder}/{picture_name(scene)}", ContentFile(content))


def read_picture(scene: ScenePrompt) -> bytes:
    """Return a scene's picture.

    Raises:
        FileNotFoundError: the scene has none, or the storage has lost it.
    """
    name = scene.metadata.get("picture")
    if not isinstance(name, str):
        raise FileNotFoundError(f"Scene {scene.scene_number} has no picture")
    with default_storage.open(name) as picture:
        content: bytes = picture.read()
    return content


def board_files(session: GenerationSession) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name and content: the pictures, as `read_picture`, then index.html."""
    scenes = session.scenes
    for scene in scenes:
        yield picture_name(scene), read_picture(scene)
    yield "index.html", contact_sheet(title_of(session), scenes, picture_name).encode()
