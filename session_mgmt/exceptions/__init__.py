"""Every error that session_mgmt raises on purpose: one root, one class for each remedy."""

from session_mgmt.exceptions.database import (
    AlreadyCommittedError,
    BufferFullError,
    CommitOutcomeUnknownError,
    FlushError,
)
from session_mgmt.exceptions.jobs import (
    GiveUp,
    JobCancelledError,
    LeaseLostError,
    WorkerStoppingError,
)
from session_mgmt.exceptions.objects import (
    ObjectNotFoundError,
    StaleObjectError,
    StateTypeError,
)
from session_mgmt.exceptions.roots import (
    ConfigurationError,
    InvalidInputError,
    SessionManagerError,
    named,
    shown,
)
from session_mgmt.exceptions.sessions import (
    IdempotencyConflictError,
    InvalidTransitionError,
    SessionCapacityError,
    SessionLockError,
    SessionNotFoundError,
)

__all__ = [
    "AlreadyCommittedError",
    "BufferFullError",
    "CommitOutcomeUnknownError",
    "ConfigurationError",
    "FlushError",
    "GiveUp",
    "IdempotencyConflictError",
    "InvalidInputError",
    "InvalidTransitionError",
    "JobCancelledError",
    "LeaseLostError",
    "ObjectNotFoundError",
    "SessionCapacityError",
    "SessionLockError",
    "SessionManagerError",
    "SessionNotFoundError",
    "StaleObjectError",
    "StateTypeError",
    "WorkerStoppingError",
    "named",
    "shown",
]
