"""Remove the pictures of storyboards whose sessions are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.core.files.storage import default_storage

from session_mgmt.models import GenerationSession

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FOLDER", "remove_pictures", "sweep"]

FOLDER: Final = "storyboards"


def remove_pictures(session_id: str, **_: object) -> None:
    """Delete what belongs to a session; a receiver of `session_removed`."""
    _remove(f"{FOLDER}/{session_id}")


def sweep() -> int:
    """Delete what belongs to sessions that are not there, and return of how many.

    A process that was killed right after a session was removed has left its pictures behind.
    """
    gone = 0
    for name in _orphans():
        remove_pictures(name)
        gone += 1
    return gone


def _orphans() -> Iterator[str]:
    try:
        names, _ = default_storage.listdir(FOLDER)
    except FileNotFoundError:
        return
    for name in names:
        # A session is there before its first picture is, so none is missed that is being made.
        if not GenerationSession.objects.filter(pk=UUID(name)).exists():
            yield name


def _remove(path: str) -> None:
    try:
        folders, files = default_storage.listdir(path)
    except FileNotFoundError:
        return
    for folder in folders:
        _remove(f"{path}/{folder}")
    for file in files:
        default_storage.delete(f"{path}/{file}")
    default_storage.delete(path)
