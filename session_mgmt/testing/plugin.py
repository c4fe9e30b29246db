"""Fixtures for a project's own tests with pytest and pytest-django.

A project asks for them: `pytest_plugins = ["session_mgmt.testing.plugin"]` in its root
`conftest.py`, or `-p session_mgmt.testing.plugin`. An entry point would load this, and with it
Django, in every run of pytest in the environment, those of projects without Django too, and give
each of them fixtures whose names it never chose.

Nothing here touches a model before a test runs, so it may be loaded before Django is set up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from session_mgmt.conf import SETTING
from session_mgmt.schemas import GenerationRequest
from session_mgmt.states import GenerationStatus
from session_mgmt.testing.sessions import create_test_session_manager
from session_mgmt.validation import checked_status

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from session_mgmt.models import GenerationSession
    from session_mgmt.sessions import SessionManager

__all__ = ["MakeSession", "make_session", "no_retry_delays", "session_manager", "write_behind_now"]


class MakeSession(Protocol):
    """What the fixture `make_session` is."""

    def __call__(
        self,
        status: GenerationStatus = GenerationStatus.PENDING,
        *,
        owner: AbstractBaseUser | None = None,
        **request: Any,  # Any: the fields of GenerationRequest, which checks them
    ) -> GenerationSession:
        """Start a session and bring it to `status`; what is left out of the request is made up."""


@pytest.fixture
def write_behind_now(settings: Any) -> None:  # Any: pytest-django's settings take every name
    """Write what is buffered, such as `session.track`, at once and in the test's transaction.

    Otherwise a thread writes it, which cannot see what the test has not committed.
    """
    _change(settings, FLUSH_INTERVAL=0)


@pytest.fixture
def no_retry_delays(settings: Any) -> None:  # Any: pytest-django's settings take every name
    """Let `db_retry` and all that repeats transient database errors do so without waiting."""
    _change(settings, RETRY_MAX_DELAY=0)


@pytest.fixture
def session_manager(db: None, write_behind_now: None) -> SessionManager:
    """Return a manager on the test's database, without a limit and without a thread."""
    return create_test_session_manager(max_sessions=None)


@pytest.fixture
def make_session(session_manager: SessionManager) -> MakeSession:
    """Return a function that makes a session the way a program does, with its events.

    `make_session(GenerationStatus.COMPLETED, num_scenes=2)` starts one, and moves it on by the
    manager.
    """

    def make(
        status: GenerationStatus = GenerationStatus.PENDING,
        *,
        owner: AbstractBaseUser | None = None,
        **request: Any,  # Any: as in MakeSession
    ) -> GenerationSession:
        target = checked_status(status)
        values = {"story_text": "Test story for session", "num_scenes": 3} | request
        session = session_manager.start(GenerationRequest(**values), owner=owner)
        if target != GenerationStatus.PENDING:
            reason = "Failed by a test." if target == GenerationStatus.FAILED else ""
            session_manager.transition_to(session.pk, GenerationStatus.PROCESSING)
            session_manager.transition_to(session.pk, target, reason)
            session.refresh_from_db()
        return session

    return make


def _change(settings: Any, **values: object) -> None:  # Any: pytest-django's settings
    setattr(settings, SETTING, {**getattr(settings, SETTING, {}), **values})
