"""What tests of a project that uses this app need; see `docs/testing.md`.

Factories are in `session_mgmt.testing.factories` and need the extra `testing`; the fixtures for
pytest are in `session_mgmt.testing.plugin`.
"""

from session_mgmt.testing.sessions import (
    create_mock_session,
    create_test_session_manager,
    wait_for_cleanup,
)

__all__ = ["create_mock_session", "create_test_session_manager", "wait_for_cleanup"]
