"""A factory for each model, by factory-boy: rows whose values fit together, without history.

What a factory saves is exactly its row and the rows that it belongs to: no events, no signals, no
delivery of a job. For a session with its events use `SessionManager` or the fixture
`make_session`.

`age` says how long ago a row was made, and whatever it belongs to with it; rows that ended did so
after a tenth of that time. Numbers that must be unique go on from what the database holds.
"""

try:
    import factory  # noqa: F401 # asked for here, so that one place says what is missing
except ImportError as error:
    raise ImportError(
        "To make rows with factories, pip install 'django-session-mgmt[testing]'", name="factory"
    ) from error

from session_mgmt.testing.factories.jobs import JobFactory, JobStepFactory
from session_mgmt.testing.factories.objects import StoredObjectFactory
from session_mgmt.testing.factories.sessions import (
    GenerationRequestFactory,
    GenerationSessionFactory,
    ProgressFactory,
    SceneFactory,
    SessionEventFactory,
)
from session_mgmt.testing.factories.upkeep import CapacityStripeFactory, CommitTokenFactory

__all__ = [
    "CapacityStripeFactory",
    "CommitTokenFactory",
    "GenerationRequestFactory",
    "GenerationSessionFactory",
    "JobFactory",
    "JobStepFactory",
    "ProgressFactory",
    "SceneFactory",
    "SessionEventFactory",
    "StoredObjectFactory",
]
