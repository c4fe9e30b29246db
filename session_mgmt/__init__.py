"""Durable sessions, live progress and safe jobs for long-running work in Django.

Only names that need no app registry are exported here; models are in `session_mgmt.models`.
"""

from session_mgmt.exceptions import (
    AlreadyCommittedError,
    BufferFullError,
    CommitOutcomeUnknownError,
    ConfigurationError,
    FlushError,
    GiveUp,
    IdempotencyConflictError,
    InvalidInputError,
    InvalidTransitionError,
    JobCancelledError,
    LeaseLostError,
    ObjectNotFoundError,
    SessionCapacityError,
    SessionLockError,
    SessionManagerError,
    SessionNotFoundError,
    StaleObjectError,
    StateTypeError,
    WorkerStoppingError,
)
from session_mgmt.schemas import GenerationRequest, MediaType, ProgressUpdate, ScenePrompt
from session_mgmt.states import GenerationStatus, JobStatus

__all__ = [
    "AlreadyCommittedError",
    "BufferFullError",
    "CommitOutcomeUnknownError",
    "ConfigurationError",
    "FlushError",
    "GenerationRequest",
    "GenerationStatus",
    "GiveUp",
    "IdempotencyConflictError",
    "InvalidInputError",
    "InvalidTransitionError",
    "JobCancelledError",
    "JobStatus",
    "LeaseLostError",
    "MediaType",
    "ObjectNotFoundError",
    "ProgressUpdate",
    "ScenePrompt",
    "SessionCapacityError",
    "SessionLockError",
    "SessionManagerError",
    "SessionNotFoundError",
    "StaleObjectError",
    "StateTypeError",
    "WorkerStoppingError",
]
