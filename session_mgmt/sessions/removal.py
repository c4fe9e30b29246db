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
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import OperationalError, transaction
from django.db.models import ProtectedError, RestrictedError
from pydantic import ValidationError

from session_mgmt.db.lock_timeout import is_out_of_time, lock_timeout
from session_mgmt.models import GenerationSession
from session_mgmt.sessions.deletion import (
    delete_oldest,
    delete_with_all,
    is_listened_to,
    is_plain_deletion,
)
from session_mgmt.signals import announce, session_expired, session_removed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["Remaining", "Removal", "remove_locked", "remove_oldest"]

logger = logging.getLogger(__name__)

_PATIENCE: Final = 0.2
"""In seconds; PostgreSQL looks for a deadlock after one."""
_LONGEST_STATEMENT: Final = 0.4


class Removal(NamedTuple):
    """What became of some sessions.

    Attributes:
        removed: how many are gone.
        kept: those that stay, as somebody works on them or a row of the project protects them.
        is_last: whether there were no more than these.
        age_from: of the youngest of all of them; None when there were none.
    """

    removed: int
    kept: list[UUID]
    is_last: bool
    age_from: datetime | None


class Remaining:
    """The sessions that come after those that were removed, or could not be.

    Attributes:
        sessions: what is left to do.
    """

    def __init__(self, sessions: GenerationSessionQuerySet) -> None:
        self._all = self.sessions = sessions
        self._age: datetime | None = None
        self._kept: list[UUID] = []

    def go_on_after(self, part: Removal) -> None:
        """Leave out what this part has dealt with.

        By age, so that the index entries of what is gone are not read again and again while old
        snapshots keep them; and by id those that stay, since others may be of the same age.
        """
        same_age = self._kept if part.age_from == self._age else []
        self._age, self._kept = part.age_from, [*same_age, *part.kept]
        self.sessions = self._all.filter(age_from__gte=self._age).exclude(pk__in=self._kept)


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
            with _short_transaction(sessions.db, limit):
                ages = delete_oldest(sessions, limit)
            return Removal(len(ages), [], len(ages) < limit, max(ages, default=None))
        except OperationalError as error:
            if not is_out_of_time(error):
                raise
        limit = max(1, limit // 2)
    return _remove_with_django(sessions, limit, expired=expired)


def _remove_with_django(
    sessions: GenerationSessionQuerySet, limit: int, *, expired: bool
) -> Removal:
    found: list[tuple[UUID, datetime]] = []
    try:
        with _short_transaction(sessions.db, limit):
            locked = sessions.order_by("age_from").select_for_update(skip_locked=True)
            found += locked.values_list("pk", "age_from")[:limit]
            if not found:
                return Removal(0, [], is_last=True, age_from=None)
            kept = _remove_unprotected([pk for pk, _ in found], sessions.db, expired=expired)
    except OperationalError as error:
        if not (found and is_out_of_time(error)):
            raise
        if limit > 1:
            return _remove_with_django(sessions, limit // 2, expired=expired)
        kept = [found[0][0]]
    return Removal(len(found) - len(kept), kept, len(found) < limit, found[-1][1])


@contextmanager
def _short_transaction(using: str, sessions: int) -> Iterator[None]:
    # A single session may take as long as it takes.
    longest = _LONGEST_STATEMENT if sessions > 1 else None
    with transaction.atomic(using=using), lock_timeout(_PATIENCE, using, statement=longest):
        yield


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


def _remove_unprotected(ids: list[UUID], using: str, *, expired: bool) -> list[UUID]:
    """Remove what can be removed, and return what something protects."""
    try:
        remove_locked(ids, using, expired=expired)
    except (ProtectedError, RestrictedError):
        if len(ids) == 1:
            logger.warning("Session %s stays, a protected row refers to it", ids[0])
            return ids
        middle = len(ids) // 2
        halves = (ids[:middle], ids[middle:])
        return [pk for half in halves for pk in _remove_unprotected(half, using, expired=expired)]
    return []


def _as_they_were(ids: list[UUID], using: str) -> Iterable[GenerationSession]:
    """Read what receivers are to be told; nothing when nobody listens."""
    if not is_listened_to():
        return []
    rows = GenerationSession.objects.using(using).filter(pk__in=ids)
    try:
        return list(rows)
    except ValidationError:  # a request that cannot be read must not keep its session for ever
        return list(rows.defer("request_data"))
