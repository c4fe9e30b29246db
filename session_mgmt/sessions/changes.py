"""Save what an operation did to a session whose row is locked: all of it, or nothing (seed 001).

In the seed a session was an object in memory, and setting an attribute changed it. Here the same
assignments are compared with the row, checked, and written in the lock's transaction.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from django.utils import timezone

from session_mgmt.exceptions import InvalidInputError, SessionNotFoundError, shown
from session_mgmt.models import GenerationSession, Progress
from session_mgmt.schemas import GenerationRequest, ProgressUpdate
from session_mgmt.sessions.scenes import replace_scenes
from session_mgmt.sessions.transitions import move
from session_mgmt.signals import announce, progress_updated
from session_mgmt.validation import cleaned_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import Model

__all__ = ["CHANGEABLE", "known_attributes", "saved_changes"]


def _is_moment(value: object) -> bool:
    if not isinstance(value, datetime) or timezone.is_naive(value):
        return False
    try:
        value.astimezone(UTC)
    except OverflowError:  # before the year 1 or after 9999 there
        return False
    return True


_Check: TypeAlias = "tuple[Callable[[object], bool], str]"
_ANYTHING: Final[_Check] = (lambda _: True, "")
_CHECKS: Final[dict[str, _Check]] = {
    "error_message": (lambda value: isinstance(value, str), "must be a text"),
    "request_data": (
        lambda value: isinstance(value, GenerationRequest),
        "must be a GenerationRequest",
    ),
    "is_active": (lambda value: isinstance(value, bool), "must be True or False"),
    "created_at": (_is_moment, "must be a datetime with a time zone"),
    "renewed_at": (
        lambda value: value is None or _is_moment(value),
        "must be None or a datetime with a time zone",
    ),
    "last_accessed": (_is_moment, "must be a datetime with a time zone"),
}
_COLUMNS: Final = frozenset({*_CHECKS, "owner_id", "status"})
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
        SessionNotFoundError: the session was removed in the block.
    """
    before = _columns(session)
    draft: dict[str, object] = {}
    session.draft = draft
    try:
        yield session
    finally:
        session.draft = None
    changed = {name: value for name, value in _columns(session).items() if value != before[name]}
    if others := changed.keys() - _COLUMNS:
        # A refresh or a `save()` inside has only brought what the row says.
        row = GenerationSession.objects.using(using).filter(pk=session.pk).first()
        if row is None:
            raise SessionNotFoundError(session.pk)
        current = _columns(row)
        changed = {
            name: value
            for name, value in changed.items()
            if name not in others or value != current[name]
        }
    _save_columns(session, changed, using)
    if "progress" in draft:
        _save_progress(session, draft["progress"], using)
    if "scenes" in draft:
        _save_scenes(session, draft, using)


def _columns(session: GenerationSession) -> dict[str, object]:
    fields = (f for f in session._meta.concrete_fields if not f.generated)
    return {field.attname: getattr(session, field.attname) for field in fields}


def _save_columns(session: GenerationSession, changed: dict[str, object], using: str) -> None:
    moves = "status" in changed
    status = changed.pop("status", None)
    _check_owner(session, changed, using)
    for name, value in changed.items():
        if name not in _CHECKS and name != "owner_id":
            raise InvalidInputError(name, "cannot be changed")
        is_right, problem = _CHECKS.get(name, _ANYTHING)
        if not is_right(value):
            raise InvalidInputError(name, f"{problem}, not {shown(value)}")
        if isinstance(value, GenerationRequest):
            changed[name] = value.rechecked(name)
    if "error_message" in changed:
        changed["error_message"] = cleaned_report(str(changed["error_message"]))
    now = timezone.now()
    rows = GenerationSession.objects.using(using).filter(pk=session.pk)
    if not rows.update(**{"last_accessed": now, "updated_at": now, **changed}):
        raise SessionNotFoundError(session.pk)  # the operation has had it removed
    if moves:
        move(session.pk, status, "", using)  # type: ignore[arg-type] # it checks


def _check_owner(session: GenerationSession, changed: dict[str, object], using: str) -> None:
    """Refuse an owner that is not in the database, whose foreign key would fail at COMMIT only."""
    field = GenerationSession._meta.get_field("owner")
    was_saved = not (field.is_cached(session) and session.owner and session.owner.pk is None)
    key = changed.get("owner_id")
    if was_saved and key is None:
        return
    users: type[Model] = field.related_model
    try:
        is_there = users._base_manager.using(using).filter(pk=key).exists()
    except (TypeError, ValueError):
        is_there = False
    if not is_there:
        name = "owner" if field.is_cached(session) and session.owner else "owner_id"
        raise InvalidInputError(name, "must be a user who is in the database, or None")


def _save_progress(session: GenerationSession, progress: object, using: str) -> None:
    rows = Progress.objects.using(using)
    if progress is None:
        rows.filter(session=session.pk).delete()
    elif isinstance(progress, ProgressUpdate):
        progress = progress.rechecked("progress")
        rows.record(session.pk, progress)
        announce(
            progress_updated, Progress, using, session_id=session.session_id, progress=progress
        )
    else:
        problem = f"must be None or a ProgressUpdate, not {type(progress).__name__}"
        raise InvalidInputError("progress", problem)


def _save_scenes(session: GenerationSession, draft: dict[str, object], using: str) -> None:
    scenes = draft["scenes"]
    if not isinstance(scenes, list | tuple):
        raise InvalidInputError("scenes", f"must be a list, not {type(scenes).__name__}")
    if "scenes_before" in draft:
        # A list that was only read must not take back what was added meanwhile in other ways.
        before = draft["scenes_before"]
    else:
        before = [row.as_prompt() for row in session.scene_rows.using(using).all()]
    if list(scenes) != before:
        replace_scenes(session.pk, scenes, using)
