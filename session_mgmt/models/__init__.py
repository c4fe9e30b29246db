"""The tables, one model and its QuerySet a file."""

from session_mgmt.models.base import BaseModel, BaseQuerySet
from session_mgmt.models.capacity_stripe import CapacityStripe
from session_mgmt.models.commit_token import CommitToken
from session_mgmt.models.event import SessionEvent
from session_mgmt.models.job import Job
from session_mgmt.models.job_step import JobStep
from session_mgmt.models.progress import Progress
from session_mgmt.models.scene import Scene
from session_mgmt.models.session import GenerationSession
from session_mgmt.models.stored_object import StoredObject

__all__ = [
    "BaseModel",
    "BaseQuerySet",
    "CapacityStripe",
    "CommitToken",
    "GenerationSession",
    "Job",
    "JobStep",
    "Progress",
    "Scene",
    "SessionEvent",
    "StoredObject",
]
