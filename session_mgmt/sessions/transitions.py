"""Move a session from status to status: the one place that writes the column."""

from __future__ import annotations

import logging

from django.db.models import DateTimeField, Value
from django.utils import timezone

from session_mgmt.exceptions import (
    InvalidInputError,
    InvalidTransitionError,
    SessionNotFoundError,
)
from session_mgmt.models import GenerationSession, SessionEvent
from session_mgmt.signals import (
    announce,
    session_cancelled,
    session_completed,
    session_failed,
    status_changed,
)
from session_mgmt.states import GenerationStatus
from session_mgmt.validation import cleaned_report

__all__ = ["move"]

logger = logging.getLogger(__name__)

_ENDINGS = {
    GenerationStatus.COMPLETED: session_completed,
    GenerationStatus.FAILED: session_failed,
    GenerationStatus.CANCELLED: session_cancelled,
}


def move(session_id: object, status: GenerationStatus, error_message: str, using: str) -> None:
    """Change a session's status by a guarded UPDATE and append the event, or raise.

    See `SessionManager.transition_to` for what is guaranteed.
    """
    try:
        target = GenerationStatus(status)
    except ValueError:
        known = ", ".join(GenerationStatus.values)
        raise InvalidInputError("status", f"{status!r} is not one of {known}") from None
    found = GenerationSession.objects.using(using).with_id(session_id)
    changes: dict[str, object] = {"status": target}
    if not isinstance(error_message, str):
        raise InvalidInputError(
            "error_message", f"must be a text, not {type(error_message).__name__}"
        )
    if error_message:
        changes["error_message"] = cleaned_report(error_message)
    if target.is_terminal:
        changes["finished_at"] = Value(timezone.now(), output_field=DateTimeField())
    event = SessionEvent.objects.using(using).append(
        found.able_to_become(target), "status_changed", {"status": target.value}, **changes
    )
    if event is None:
        current = found.values_list("status", flat=True).first()
        if current is None:
            raise SessionNotFoundError(session_id)
        if current != target:
            raise InvalidTransitionError(session_id, current.value, target.value)
        return
    canonical = event.session.session_id
    logger.info("Session %s status: %s", canonical, target)
    values = {"session_id": canonical, "status": target}
    announce(status_changed, GenerationSession, using, **values)
    if target in _ENDINGS:
        announce(_ENDINGS[target], GenerationSession, using, **values)
