"""Save what an operation did to a session whose row is locked: all of it, or nothing (seed 001).

In the seed a session was an object in memory, and setting an attribute changed it. Here the same
assignments are compared with the row, checked, and written in the lock's transaction.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from session_mgmt.exceptions import InvalidInputError
from session_mgmt.models import GenerationSession, Progress
from session_mgmt.schemas import GenerationRequest, ProgressUpdate
from session_mgmt.sessions.scenes import replace_scenes
from session_mgmt.sessions.transitions import move
from session_mgmt.signals import announce, progress_updated
from session_mgmt.validation import cleaned_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CHANGEABLE", "known_attributes", "saved_changes"]


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and timezone.is_aware(value)


_CHECKS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "error_message": (lambda value: isinstance(value, str), "must be a text"),
    "request_data": (
        lambda value: isinstance(value, GenerationRequest),
        "must be a GenerationRequest",
    ),
    "owner_id": (lambda _: True, ""),
    "is_active": (lambda value: isinstance(value, bool), "must be True or False"),
    "created_at": (_is_moment, "must be a datetime with a time zone"),
    "renewed_at": (
        lambda value: value is None or _is_moment(value),
        "must be None or a datetime with a time zone",
    ),
    "last_accessed": (_is_moment, "must be a datetime with a time zone"),
}
CHANGEABLE: Final = frozenset({*_CHECKS, "owner", "status", "progress", "scenes"})


def known_attributes() -> frozenset[str]:
    """Return the names of a session's data, those that cannot be changed too."""
    fields = GenerationSession._meta.concrete_fields
    columns = {name for field in fields for name in (field.name, field.attname)}
    return CHANGEABLE | columns | {"session_id", "pk"}


@contextmanager
def saved_changes(session: GenerationSession, using: str) -> Iterator[GenerationSession]:
    """Save what the block does to `session`, in the caller's transaction, which holds its lock.

    Raises:
        InvalidInputError: a value is of the wrong type, or cannot be changed.
        InvalidTransitionError: the status cannot go there.
    """
    before = _columns(session)
    session.draft = {}
    yield session
    draft, session.draft = session.draft or {}, None
    changed = {name: value for name, value in _columns(session).items() if value != before[name]}
    _save_columns(session, changed, using)
    if "progress" in draft:
        _save_progress(session, draft["progress"], using)
    if "scenes" in draft:
        _save_scenes(session, draft["scenes"], using)


def _columns(session: GenerationSession) -> dict[str, object]:
    fields = (f for f in session._meta.concrete_fields if not f.generated)
    return {field.attname: getattr(session, field.attname) for field in fields}


def _save_columns(session: GenerationSession, changed: dict[str, object], using: str) -> None:
    status = changed.pop("status", None)
    owner = GenerationSession._meta.get_field("owner")
    if owner.is_cached(session) and session.owner is not None and session.owner.pk is None:
        raise InvalidInputError("owner", f"must be a saved user or None, not {session.owner!r}")
    for name, value in changed.items():
        if name not in _CHECKS:
            raise InvalidInputError(name, "cannot be changed")
        is_right, problem = _CHECKS[name]
        if not is_right(value):
            raise InvalidInputError(name, f"{problem}, not {value!r}")
    if "error_message" in changed:
        changed["error_message"] = cleaned_report(str(changed["error_message"]))
    now = timezone.now()
    rows = GenerationSession.objects.using(using).filter(pk=session.pk)
    rows.update(**{"last_accessed": now, "updated_at": now, **changed})
    if status is not None:
        move(session.pk, status, "", using)  # type: ignore[arg-type] # it checks


def _save_progress(session: GenerationSession, progress: object, using: str) -> None:
    rows = Progress.objects.using(using)
    if progress is None:
        rows.filter(session=session.pk).delete()
    elif isinstance(progress, ProgressUpdate):
        rows.record(session.pk, progress)
        announce(
            progress_updated, Progress, using, session_id=session.session_id, progress=progress
        )
    else:
        problem = f"must be None or a ProgressUpdate, not {type(progress).__name__}"
        raise InvalidInputError("progress", problem)


def _save_scenes(session: GenerationSession, scenes: object, using: str) -> None:
    if not isinstance(scenes, list | tuple):
        raise InvalidInputError("scenes", f"must be a list, not {type(scenes).__name__}")
    if list(scenes) != [row.as_prompt() for row in session.scene_rows.using(using).all()]:
        replace_scenes(session.pk, scenes, using)
