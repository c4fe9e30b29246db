"""Callbacks for what happens to sessions, as sugar on the signals of `session_mgmt.signals`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from session_mgmt import signals
from session_mgmt.exceptions import InvalidInputError
from session_mgmt.models import GenerationSession

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from django.dispatch import Signal

    Callback = Callable[[str, GenerationSession], object]

__all__ = ["EVENTS", "event_signal", "register_callback", "unregister_callback"]

EVENTS: Final = (
    "session_created",
    "status_changed",
    "progress_updated",
    "scene_added",
    "session_completed",
    "session_failed",
    "session_cancelled",
    "session_removed",
    "session_expired",
)


def event_signal(event_type: str) -> Signal:
    """Return the signal behind an event's name.

    Raises:
        InvalidInputError: there is no such event; the message lists those that there are.
    """
    if event_type not in EVENTS:
        raise InvalidInputError("event_type", f"{event_type!r} is not one of {', '.join(EVENTS)}")
    signal: Signal = getattr(signals, event_type)
    return signal


def register_callback(event_type: str, callback: Callback, using: str) -> None:
    """Call `callback(session_id, session)` whenever this happens, once it has committed.

    It is called in the process and the thread where it happened. The session is read for each
    callback by one query, or is what the signal carries: a removed session is the row as it was.
    A session that has gone meanwhile is passed over. Registering it again changes nothing.

    Args:
        event_type: one of `EVENTS`.
        callback: an error in it is logged and changes nothing.
        using: database of the sessions that it is told of.

    Raises:
        InvalidInputError: there is no such event, or the callback cannot be called.
    """
    signal = event_signal(event_type)
    if not callable(callback):
        raise InvalidInputError("callback", f"must be callable, not {type(callback).__name__}")

    def receive(session_id: str, session: GenerationSession | None = None, **_: object) -> None:
        if session is None:
            sessions = GenerationSession.objects.using(using).select_related("progress_row")
            session = sessions.with_id(session_id).first()
        if session is not None and session._state.db == using:
            callback(session_id, session)

    signal.connect(receive, weak=False, dispatch_uid=_uid(callback, using))


def unregister_callback(event_type: str, callback: Callback, using: str) -> bool:
    """Undo `register_callback`; False when it was not registered for this event.

    Raises:
        InvalidInputError: there is no such event.
    """
    return event_signal(event_type).disconnect(dispatch_uid=_uid(callback, using))


def _uid(callback: Callback, using: str) -> Hashable:
    # Signals compare it, so that a bound method, which is a new object each time, is found again.
    return (__name__, using, callback)
