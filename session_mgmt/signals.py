"""What session_mgmt announces, always after the commit and never able to undo it.

Session signals carry `session_id` (str); `status_changed` also carries `status`,
`progress_updated` carries `progress` (ProgressUpdate), `scene_added` carries `scene_number`;
`session_removed` and `session_expired`, which comes before it when clean-up removes a session for
its age, carry `session`, the row as it was.
`jobs_pending` tells of jobs that wait to be started, new ones or one that is to be tried again; it
carries `jobs`, a list of rows of one database. The sender is the model class.
Receivers run under `send_robust`: an error in one is logged and changes nothing.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.dispatch import Signal

if TYPE_CHECKING:
    from django.db.models import Model

__all__ = [
    "announce",
    "jobs_pending",
    "progress_updated",
    "scene_added",
    "session_cancelled",
    "session_completed",
    "session_created",
    "session_expired",
    "session_failed",
    "session_removed",
    "status_changed",
]

logger = logging.getLogger(__name__)

session_created = Signal()
status_changed = Signal()
progress_updated = Signal()
scene_added = Signal()
session_completed = Signal()
session_failed = Signal()
session_cancelled = Signal()
session_expired = Signal()
session_removed = Signal()
jobs_pending = Signal()


def announce(signal: Signal, sender: type[Model], using: str, **values: object) -> None:
    """Send `signal` once the current transaction has committed, or at once outside of one.

    Nothing is sent if the transaction rolls back.
    """
    transaction.on_commit(partial(_send, signal, sender, values), using=using, robust=True)


def _send(signal: Signal, sender: type[Model], values: dict[str, object]) -> None:
    for receiver, response in signal.send_robust(sender, **values):
        if isinstance(response, Exception):
            logger.error("Receiver %r failed", receiver, exc_info=response)
