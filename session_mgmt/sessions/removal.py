"""Remove sessions with everything that belongs to them, and wait for nobody.

A session goes with its jobs, scenes, progress and events, and with whatever a project's own models
say in `on_delete`. Files go by a receiver of `session_removed`.

Nothing here can deadlock, although others lock in other orders: the rows of the sessions, of their
jobs and of their progress are locked with SKIP LOCKED, and a session of which one is locked by
somebody else is left for another time. The other children are written only by somebody who holds
the session's row. Between the lock and the end of the transaction no new child can come, because
its foreign key needs a lock on the session.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from django.db import transaction
from django.db.models import ProtectedError, RestrictedError
from django.db.models.deletion import Collector
from pydantic import ValidationError

from session_mgmt.models import GenerationSession, Job, Progress
from session_mgmt.signals import announce, session_expired, session_removed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["Removal", "remove_locked", "remove_oldest"]

logger = logging.getLogger(__name__)


class Removal(NamedTuple):
    """What became of some sessions.

    Attributes:
        removed: how many are gone.
        kept: how many stay, because somebody works on them or a row of the project protects them.
        age_from: of the youngest of all of them; None when there were none.
    """

    removed: int
    kept: int
    age_from: datetime | None


def remove_oldest(
    sessions: GenerationSessionQuerySet, limit: int, *, expired: bool = False
) -> Removal:
    """Remove the oldest of `sessions`, at most `limit`, in one short transaction.

    The condition of `sessions` is checked again under each row's lock: one that was renewed, or
    has moved on, meanwhile stays.

    Args:
        sessions: conditions on columns of the session alone.
        limit: how many rows to lock at most.
        expired: whether to send `session_expired` too.
    """
    using = sessions.db
    with transaction.atomic(using=using):
        locked = sessions.order_by("age_from").select_for_update(skip_locked=True)
        found = list(locked.values_list("pk", "age_from")[:limit])
        if not found:
            return Removal(0, 0, None)
        ids = [pk for pk, _ in found]
        free = _without_busy(ids, using)
        removed = _remove_unprotected(free, using, expired=expired) if free else 0
    return Removal(removed, len(ids) - removed, found[-1][1])


def remove_locked(ids: list[UUID], using: str, *, expired: bool = False) -> None:
    """Delete these sessions and what belongs to them; the caller has locked them and their jobs.

    Raises:
        ProtectedError, RestrictedError: a row of the project's own keeps one of them.
    """
    with transaction.atomic(using=using):
        for session in _as_they_were(ids, using):
            values = {"session_id": session.session_id, "session": session}
            if expired:
                announce(session_expired, GenerationSession, using, **values)
            announce(session_removed, GenerationSession, using, **values)
        # Django's own: it knows the project's foreign keys too, and reads none of the rows.
        collector = Collector(using=using)
        collector.collect([GenerationSession(pk=pk) for pk in ids])
        collector.delete()


def _without_busy(ids: list[UUID], using: str) -> list[UUID]:
    """Lock what others may have locked before their session; leave out where that failed."""
    busy: set[UUID] = set()
    for model in (Job, Progress):
        rows = model.objects.using(using).filter(session__in=ids)
        own = set(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        everyone = rows.values_list("pk", "session_id")
        busy.update(session for pk, session in everyone if pk not in own)
    return [pk for pk in ids if pk not in busy]


def _remove_unprotected(ids: list[UUID], using: str, *, expired: bool) -> int:
    """Remove what can be removed: where something protects one, the others go without it."""
    try:
        remove_locked(ids, using, expired=expired)
    except (ProtectedError, RestrictedError):
        if len(ids) == 1:
            logger.warning("Session %s stays, a protected row refers to it", ids[0])
            return 0
        middle = len(ids) // 2
        halves = (ids[:middle], ids[middle:])
        return sum(_remove_unprotected(half, using, expired=expired) for half in halves)
    return len(ids)


def _as_they_were(ids: list[UUID], using: str) -> Iterable[GenerationSession]:
    """Read what receivers are to be told; nothing when nobody listens."""
    signals = (session_expired, session_removed)
    if not any(signal.has_listeners(GenerationSession) for signal in signals):
        return []
    rows = GenerationSession.objects.using(using).filter(pk__in=ids)
    try:
        return list(rows)
    except ValidationError:  # a request that cannot be read must not keep its session for ever
        return list(rows.defer("request_data"))
