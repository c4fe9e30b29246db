"""A manager, a session and a wait for tests (seed 001), without pytest and without factory-boy.

Models are imported where they are used, because pytest loads the plugin beside this file before
Django is set up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from session_mgmt.exceptions import InvalidInputError
from session_mgmt.schemas import GenerationRequest, MediaType
from session_mgmt.states import GenerationStatus
from session_mgmt.validation import checked_status

if TYPE_CHECKING:
    from uuid import UUID

    from session_mgmt.models import GenerationSession
    from session_mgmt.sessions import SessionManager

__all__ = ["create_mock_session", "create_test_session_manager", "wait_for_cleanup"]

_PAUSE: Final = 0.02


def create_test_session_manager(
    max_sessions: int | None = 5, policy: str = "evict", *, using: str = "default"
) -> SessionManager:
    """Make a real manager that starts no thread, so that nothing happens behind a test's back.

    It works on the test's database, as `SessionManager` does, and the limit counts all sessions
    there. The seed's manager had a thread that cleaned up once a minute: in a test's transaction
    it would not see the test's sessions, and what it removed would depend on how slow the test is.
    Call `cleanup_expired_sessions()` instead.

    Raises:
        InvalidInputError: an argument is refused.
    """
    from session_mgmt.sessions import SessionManager

    return SessionManager(max_sessions, None, policy, using=using)


def create_mock_session(
    session_id: str | UUID | None = None,
    status: GenerationStatus = GenerationStatus.PENDING,
) -> GenerationSession:
    """Make a session that no manager has, as in the seed: it is not saved, and asks no database.

    So code that takes a session can be tested without one; `save()` is all that is missing. It has
    no scenes and no progress until it is saved and read again.

    Args:
        session_id: a UUID or its text; None takes a fresh one. The seed's own default, a text with
            the time, cannot be an id here.
        status: where it stands; a terminal one also sets `finished_at`.

    Raises:
        InvalidInputError: an argument is refused.
    """
    from session_mgmt.models import GenerationSession, Scene
    from session_mgmt.models.base import new_id
    from session_mgmt.models.session import parse_id

    pk = new_id() if session_id is None else parse_id(session_id)
    if pk is None:
        raise InvalidInputError("session_id", f"must be a UUID or its text, not {session_id!r}")
    session = GenerationSession(
        id=pk,
        status=checked_status(status),
        request_data=GenerationRequest(
            story_text="Test story for session", media_type=MediaType.CINEMATIC, num_scenes=3
        ),
    )
    if session.status.is_terminal:
        session.finished_at = session.last_accessed
    # What Django keeps once it has looked for related rows and found none.
    known = {"scene_rows": Scene.objects.none()}
    session._prefetched_objects_cache = known  # type: ignore[attr-defined] # the stubs leave it out
    GenerationSession._meta.get_field("progress_row").set_cached_value(session, None)
    return session


def wait_for_cleanup(session_manager: SessionManager, max_wait: float = 10) -> bool:
    """Wait until the manager's clean-up thread has ended; it does so after `shutdown()`.

    Args:
        session_manager: one that never had such a thread counts as ended.
        max_wait: seconds to wait at most; 0 only looks.

    Returns:
        True once there is no thread, False if there still was one when the time was over.

    Raises:
        InvalidInputError: an argument is refused.
    """
    _check(session_manager, max_wait)
    deadline = time.monotonic() + max_wait
    while session_manager.cleanup_active:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(_PAUSE, left))
    return True


def _check(session_manager: object, max_wait: object) -> None:
    from session_mgmt.sessions import SessionManager

    if not isinstance(session_manager, SessionManager):
        problem = f"must be a SessionManager, not {type(session_manager).__name__}"
        raise InvalidInputError("session_manager", problem)
    is_number = isinstance(max_wait, int | float) and not isinstance(max_wait, bool)
    if not is_number or not max_wait >= 0:  # type: ignore[operator] # just checked
        raise InvalidInputError("max_wait", f"must be seconds, 0 or more, not {max_wait!r}")
