"""The statuses of sessions and jobs and the moves between them; no other file spells a status."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACTIVE_JOB_STATUSES", "TRANSITIONS", "GenerationStatus", "JobStatus", "sources_of"]


class GenerationStatus(TextChoices):
    """Where a session stands.

    PENDING until its work starts, or while it waits for the next attempt; PROCESSING while an
    attempt runs; COMPLETED, FAILED and CANCELLED are terminal.
    """

    PENDING = "pending", _("pending")
    PROCESSING = "processing", _("processing")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")

    @property
    def is_terminal(self) -> bool:
        """Tell whether no move leads out of this status."""
        return not TRANSITIONS[self]


TRANSITIONS: Final[Mapping[GenerationStatus, frozenset[GenerationStatus]]] = MappingProxyType(
    {
        GenerationStatus.PENDING: frozenset(
            {
                GenerationStatus.PROCESSING,
                GenerationStatus.COMPLETED,
                GenerationStatus.FAILED,
                GenerationStatus.CANCELLED,
            }
        ),
        GenerationStatus.PROCESSING: frozenset(
            {
                GenerationStatus.PENDING,
                GenerationStatus.COMPLETED,
                GenerationStatus.FAILED,
                GenerationStatus.CANCELLED,
            }
        ),
        GenerationStatus.COMPLETED: frozenset(),
        GenerationStatus.FAILED: frozenset(),
        GenerationStatus.CANCELLED: frozenset(),
    }
)


def sources_of(target: GenerationStatus) -> frozenset[GenerationStatus]:
    """Return the statuses from which a session may move to `target`."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)


class JobStatus(TextChoices):
    """Where a job stands.

    `claim` moves PENDING to RUNNING. The attempt moves RUNNING to COMPLETED; to FAILED when no
    attempt is left or none would help; back to PENDING when it failed and another is left, or when
    its worker stops; to CANCELLED when somebody cancelled the job. A rescue ends an attempt whose
    lease ran out by PENDING, FAILED or CANCELLED. A job that waits is cancelled at once, and one
    that no attempt owns may be moved by `JobRepository`. COMPLETED, FAILED and CANCELLED are final:
    trying again is a new run.
    """

    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


ACTIVE_JOB_STATUSES: Final = (JobStatus.PENDING, JobStatus.RUNNING)
