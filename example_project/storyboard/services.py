"""Start a storyboard and put a finished one into files; what the page and the command share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from example_project.storyboard.contact_sheet import contact_sheet, picture_name
from session_mgmt.models import GenerationSession, Job
from session_mgmt.sessions import session_manager

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.auth.models import AbstractBaseUser

    from session_mgmt.schemas import GenerationRequest, ScenePrompt

__all__ = [
    "JOB_TYPE",
    "board_files",
    "picture_path",
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


def store_picture(session: GenerationSession, scene: ScenePrompt, content: bytes) -> str:
    """Write a scene's picture and return the name under which the storage has it.

    An attempt that was killed may have left a part of the file; it is replaced.
    """
    name = picture_path(session, scene)
    default_storage.delete(name)
    return default_storage.save(name, ContentFile(content))


def picture_path(session: GenerationSession, scene: ScenePrompt) -> str:
    """Return where a scene's picture belongs."""
    return f"storyboards/{session.session_id}/{picture_name(scene)}"


def board_files(session: GenerationSession) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file of a storyboard: the pictures, then index.html."""
    scenes = session.scenes
    for scene in scenes:
        with default_storage.open(str(scene.metadata["picture"])) as picture:
            yield picture_name(scene), picture.read()
    yield "index.html", contact_sheet(title_of(session), scenes, picture_name).encode()
