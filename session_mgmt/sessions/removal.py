"""Remove sessions with everything that belongs to them, and hardly wait for anybody.

A session goes with its jobs, scenes, progress and events, and with whatever a project's own models
say in `on_delete`. Files go by a receiver of `session_removed`.

Rows of sessions are locked with SKIP LOCKED: one that somebody works on is left for another time.
Between that lock and the end of the transaction no new child can come, because its foreign key
needs a lock on the session. Their children may be locked by somebody who wants the session next;
so no lock is waited for longer than a fraction of a second, which is less than PostgreSQL takes to
look for a deadlock, and then some fewer sessions are tried.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import OperationalError, transaction
from django.db.models import ProtectedError, RestrictedError
from pydantic import ValidationError

from session_mgmt.db.lock_timeout import is_lock_failure, lock_timeout
from session_mgmt.models import GenerationSession
from session_mgmt.sessions.deletion import (
    delete_oldest,
    delete_with_all,
    is_listened_to,
    is_plain_deletion,
)
from session_mgmt.signals import announce, session_expired, session_removed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["Removal", "remove_locked", "remove_oldest"]

logger = logging.getLogger(__name__)

_PATIENCE: Final = 0.2
"""In seconds; PostgreSQL looks for a deadlock after one."""


class Removal(NamedTuple):
    """What became of some sessions.

    Attributes:
        removed: how many are gone.
        kept: how many stay, because somebody works on them or a row of the project protects them.
        is_last: whether there were no more than these.
        age_from: of the youngest of all of them; None when there were none.
    """

    removed: int
    kept: int
    is_last: bool
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
    if is_plain_deletion(sessions.db):
        try:
            with transaction.atomic(using=sessions.db), lock_timeout(_PATIENCE, sessions.db):
                ages = delete_oldest(sessions, limit)
            return Removal(len(ages), 0, len(ages) < limit, max(ages, default=None))
        except OperationalError as error:
            if not is_lock_failure(error):
                raise
        limit = max(1, limit // 2)
    return _remove_with_django(sessions, limit, expired=expired)


def _remove_with_django(
    sessions: GenerationSessionQuerySet, limit: int, *, expired: bool
) -> Removal:
    using = sessions.db
    found: list[tuple[UUID, datetime]] = []
    removed = 0
    try:
        with transaction.atomic(using=using), lock_timeout(_PATIENCE, using):
            locked = sessions.order_by("age_from").select_for_update(skip_locked=True)
            found += locked.values_list("pk", "age_from")[:limit]
            if not found:
                return Removal(0, 0, is_last=True, age_from=None)
            removed = _remove_unprotected([pk for pk, _ in found], using, expired=expired)
    except OperationalError as error:
        if not (found and is_lock_failure(error)):
            raise
        if limit > 1:
            return _remove_with_django(sessions, limit // 2, expired=expired)
    return Removal(removed, len(found) - removed, len(found) < limit, found[-1][1])


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
        delete_with_all(ids, using)


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
    if not is_listened_to():
        return []
    rows = GenerationSession.objects.using(using).filter(pk__in=ids)
    try:
        return list(rows)
    except ValidationError:  # a request that cannot be read must not keep its session for ever
        return list(rows.defer("request_data"))
