"""Move a session from status to status: the one place that writes the column."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import DateTimeField, F, Value
from django.utils import timezone

from session_mgmt.exceptions import (
    InvalidInputError,
    InvalidTransitionError,
    SessionNotFoundError,
)
from session_mgmt.models import GenerationSession, Job, SessionEvent
from session_mgmt.signals import (
    announce,
    session_cancelled,
    session_completed,
    session_failed,
    status_changed,
)
from session_mgmt.states import GenerationStatus
from session_mgmt.validation import checked_status, cleaned_report

__all__ = ["move", "recover", "reopen"]

logger = logging.getLogger(__name__)

_REOPENABLE = (GenerationStatus.FAILED, GenerationStatus.CANCELLED)
_ENDINGS = {
    GenerationStatus.COMPLETED: session_completed,
    GenerationStatus.FAILED: session_failed,
    GenerationStatus.CANCELLED: session_cancelled,
}


def move(session_id: object, status: GenerationStatus, error_message: str, using: str) -> None:
    """Change a session's status by a guarded UPDATE and append the event, or raise.

    Cancelling a session cancels its jobs, in the same transaction: jobs are locked before their
    session, everywhere. A caller who holds the session already may find an attempt in the way that
    holds a job and wants the session; then the database ends one of the two, as a deadlock. Jobs
    that came or were claimed between the two statements are cancelled after the commit; those that
    come later are when they are claimed.

    See `SessionManager.transition_to` for what is guaranteed.
    """
    target = checked_status(status)
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
    with transaction.atomic(using=using):
        if target is GenerationStatus.CANCELLED:
            Job.objects.using(using).filter(session__in=found.able_to_become(target)).cancel()
            late = Job.objects.using(using).filter(session__in=found.filter(status=target))
            transaction.on_commit(late.cancel, using=using, robust=True)
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
        _announce(event.session.session_id, target, using)


def reopen(session_id: object, using: str) -> None:
    """Move a failed or cancelled session back to PENDING (see SessionManager)."""
    found = GenerationSession.objects.using(using).with_id(session_id)
    target = GenerationStatus.PENDING
    event = SessionEvent.objects.using(using).append(
        found.filter(status__in=_REOPENABLE),
        "status_changed",
        {"status": target.value},
        status=target,
        error_message="",
        finished_at=None,
    )
    if event is None:
        current = found.values_list("status", flat=True).first()
        if current is None:
            raise SessionNotFoundError(session_id)
        raise InvalidTransitionError(session_id, current.value, target.value)
    _announce(event.session.session_id, target, using)


def recover(session_id: object, using: str) -> bool:
    """Set a session to FAILED from any status (see SessionManager).

    It reads nothing but the number of the last event, as the rest may be what is corrupt.
    """
    found = GenerationSession.objects.using(using).with_id(session_id)
    target = GenerationStatus.FAILED
    with transaction.atomic(using=using):
        now = timezone.now()
        if not found.update(
            status=target,
            error_message="Session recovered from corrupted state",
            finished_at=now,
            last_accessed=now,
            updated_at=now,
            last_event=F("last_event") + 1,
        ):
            return False
        pk, seq = found.values_list("pk", "last_event").get()
        SessionEvent.objects.using(using).create(
            session_id=pk, seq=seq, kind="status_changed", data={"status": target.value}
        )
        _announce(str(pk), target, using)
    return True


def _announce(session_id: str, status: GenerationStatus, using: str) -> None:
    logger.info("Session %s status: %s", session_id, status)
    values = {"session_id": session_id, "status": status}
    announce(status_changed, GenerationSession, using, **values)
    if status in _ENDINGS:
        announce(_ENDINGS[status], GenerationSession, using, **values)
