"""What tests of a project that uses this app need; see `docs/testing.md`.

Factories are in `session_mgmt.testing.factories` and need the extra `testing`; the fixtures for
pytest are in `session_mgmt.testing.plugin`.
"""

from session_mgmt.testing.disturbances import Disturbance, check_handler, run_disturbed
from session_mgmt.testing.jobs import NoEngine, run_jobs_inline
from session_mgmt.testing.sessions import (
    create_mock_session,
    create_test_session_manager,
    wait_for_cleanup,
)

__all__ = [
    "Disturbance",
    "NoEngine",
    "check_handler",
    "create_mock_session",
    "create_test_session_manager",
    "run_disturbed",
    "run_jobs_inline",
    "wait_for_cleanup",
]
