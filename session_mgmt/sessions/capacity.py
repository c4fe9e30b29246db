"""Keep the number of sessions below a limit: strictly, and without counting at every start.

The room that is left is cut into stripes, rows that each hold a number of free places. Whoever
creates a session takes one place from one stripe, in the same transaction.

Never more than `max_sessions`: while stripes are in use, sessions + free places <= limit.
- A creation moves one from the right to the left, in one transaction; a rollback moves it back.
- Removing sessions only lowers the left side.
- Places are made only by whoever has locked all stripes. A creation that is under way holds a
  lock on its stripe, so there is none then: the count is exact, and the sum is set to the limit.
  At REPEATABLE READ, where the count could be an old one, PostgreSQL refuses the lock on a stripe
  that changed since the snapshot (40001), and every change of the count goes with one of a stripe.

Creations in different stripes do not wait for each other, and SKIP LOCKED finds a stripe that
nobody holds. Only near the limit, when all stripes are empty, they queue and count; an eviction
then makes room for several at once, where the limit is large.

A limit of up to 1,000 sessions is always counted: that is cheap, and exact also when rows come and
go without this. Above it, sessions that were not created by a manager with this limit are noticed
within a minute, and room that was made after a refusal within a second.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import timedelta
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from django.db import connections, transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from session_mgmt.db.unit_of_work import run_in_transaction
from session_mgmt.exceptions import SessionCapacityError
from session_mgmt.models import CapacityStripe, GenerationSession
from session_mgmt.sessions.expiry import expiry_rules
from session_mgmt.sessions.removal import remove_oldest
from session_mgmt.states import GenerationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["excess", "make_place", "take_place", "trim"]

logger = logging.getLogger(__name__)

_STRIPES: Final = 16
_ALWAYS_COUNTED: Final = 1000
_COUNT_IS_TRUE_FOR: Final = timedelta(minutes=1)
_REFUSAL_IS_TRUE_FOR: Final = 1.0
_MOST_EVICTED_AT_ONCE: Final = 1000
_FINISHED: Final = tuple(status for status in GenerationStatus if status.is_terminal)

# When this process last found a large limit reached; counting for every refusal would be slow.
_refused_at: dict[tuple[str, int], float] = {}


def take_place(max_sessions: int, using: str) -> bool:
    """Let one more session be created in the current transaction if there certainly is room.

    One statement, two when all stripes are in use. After False the caller must roll back before it
    goes on: PostgreSQL may have locked a stripe that turned out to be empty, and `make_place` locks
    all of them in order, so that two of those cannot deadlock.

    Args:
        max_sessions: the limit, at least 1.
        using: database alias, in a transaction.
    """
    if max_sessions <= _ALWAYS_COUNTED:
        return False
    connection = connections[using]
    lock = ""
    if connection.features.has_select_for_update_skip_locked:
        lock = connection.ops.for_update_sql(skip_locked=True)
    table = connection.ops.quote_name(CapacityStripe._meta.db_table)
    usable = "free > 0 AND max_sessions = %s AND counted_at > %s"
    oldest_count = connection.ops.adapt_datetimefield_value(timezone.now() - _COUNT_IS_TRUE_FOR)
    with connection.cursor() as cursor:
        # By hand, since building these two would take the ORM longer than the database needs.
        cursor.execute(
            f"UPDATE {table} SET free = free - 1 WHERE id ="  # noqa: S608 # a table's name
            f" (SELECT id FROM {table} WHERE {usable} LIMIT 1 {lock})",
            [max_sessions, oldest_count],
        )
        if cursor.rowcount:
            return True
        cursor.execute(
            f"UPDATE {table} SET free = free - 1 WHERE id = %s AND {usable}",  # noqa: S608
            [random.randrange(_STRIPES), max_sessions, oldest_count],  # noqa: S311 # no secret
        )
        return bool(cursor.rowcount)


def make_place(max_sessions: int, policy: str, using: str) -> None:
    """Make sure that one more session may be created in the current transaction.

    One transaction after the other counts here, and evicts where the policy says so: expired
    sessions, then the oldest finished ones, then the oldest.

    Args:
        max_sessions: the limit, at least 1.
        policy: "evict" or "reject".
        using: database alias, in a transaction.

    Raises:
        SessionCapacityError: there is no room, and the policy is "reject" or none can be made.
        OperationalError: with SQLSTATE 40001, at REPEATABLE READ or SERIALIZABLE, when another
            creation was faster; with 40P01 when this transaction has created sessions before, and
            another one too. Run the transaction again.
    """
    refused_at = _refused_at.get((using, max_sessions), -inf)
    if policy == "reject" and time.monotonic() - refused_at < _REFUSAL_IS_TRUE_FOR:
        raise SessionCapacityError(max_sessions, "try again later")
    with transaction.atomic(using=using):
        free, counted_at = _free_places(_locked(max_sessions, using), max_sessions, policy, using)
        # One of them is the caller's.
        shared = free - 1 if max_sessions > _ALWAYS_COUNTED else 0
        CapacityStripe.objects.using(using).update(
            free=Case(
                When(pk__lt=shared % _STRIPES, then=Value(shared // _STRIPES + 1)),
                default=Value(shared // _STRIPES),
            ),
            max_sessions=max_sessions,
            counted_at=counted_at,
        )


def excess(max_sessions: int, using: str) -> int:
    """Return how many sessions there are above the limit; counts the table."""
    return max(0, GenerationSession.objects.using(using).count() - max_sessions)


def trim(
    max_sessions: int,
    using: str,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[int], None] = lambda _: None,
) -> int:
    """Remove what is above the limit, a thousand at a time, and return how many went.

    A creation makes room for itself; this is for a limit that was lowered, or set, by much.
    """
    left = excess(max_sessions, using)
    removed = 0
    while left > 0 and not should_stop():
        part = min(left, _MOST_EVICTED_AT_ONCE)
        gone = run_in_transaction(partial(_evict, part, max_sessions, using), using=using)
        report(gone)
        removed += gone
        left = left - gone if gone else 0
    return removed


def _locked(max_sessions: int, using: str) -> list[CapacityStripe]:
    rows = CapacityStripe.objects.using(using)
    stripes = list(rows.select_for_update().order_by("pk"))
    if len(stripes) < _STRIPES:
        never = timezone.now() - _COUNT_IS_TRUE_FOR
        rows.bulk_create(
            (
                CapacityStripe(pk=number, free=0, max_sessions=max_sessions, counted_at=never)
                for number in range(_STRIPES)
            ),
            ignore_conflicts=True,
        )
        stripes = list(rows.select_for_update().order_by("pk"))
    return stripes


def _free_places(
    stripes: list[CapacityStripe], max_sessions: int, policy: str, using: str
) -> tuple[int, datetime]:
    """Return how many sessions may be created, at least one, and when they were counted."""
    now = timezone.now()
    first = stripes[0]
    left = sum(stripe.free for stripe in stripes)
    is_fresh = first.max_sessions == max_sessions and now - first.counted_at < _COUNT_IS_TRUE_FOR
    if is_fresh and left and max_sessions > _ALWAYS_COUNTED:
        return left, first.counted_at
    sessions = GenerationSession.objects.using(using).order_by()
    free = max_sessions - sessions[: max_sessions + _MOST_EVICTED_AT_ONCE].count()
    if free <= 0 and policy == "evict":
        free += _evict(1 - free, max_sessions, using)
    if free <= 0:
        if max_sessions > _ALWAYS_COUNTED:
            _refused_at[using, max_sessions] = time.monotonic()
        raise SessionCapacityError(
            max_sessions,
            "try again later"
            if policy == "reject"
            else "those that exist are too many, or in use: run manage.py cleanup_sessions",
        )
    return free, now


def _evict(needed: int, max_sessions: int, using: str) -> int:
    """Remove sessions and return how many; where the limit is large, a few more than needed."""
    wanted = min(max(needed, max_sessions // _MOST_EVICTED_AT_ONCE), _MOST_EVICTED_AT_ONCE)
    gone = 0
    for rule in expiry_rules():
        most = _MOST_EVICTED_AT_ONCE - gone
        if most > 0:
            gone += remove_oldest(rule.sessions(using), most, expired=True).removed
    for statuses in (_FINISHED, tuple(GenerationStatus)):
        for sessions in _oldest(statuses, wanted - gone, using):
            gone += _remove(sessions, wanted - gone)
    if gone:
        logger.warning("Removed %d sessions to keep the limit of %d", gone, max_sessions)
    return gone


def _remove(sessions: GenerationSessionQuerySet, number: int) -> int:
    """Remove the oldest; where some are in use, the ones that come next."""
    gone = 0
    remaining = sessions
    while gone < number:
        part = remove_oldest(remaining, number - gone)
        gone += part.removed
        if part.is_last:
            break
        remaining = sessions.filter(age_from__gte=part.age_from)
        if not part.removed:
            remaining = sessions.filter(age_from__gt=part.age_from)
    return gone


def _oldest(
    statuses: Iterable[GenerationStatus], number: int, using: str
) -> list[GenerationSessionQuerySet]:
    """Return the oldest sessions of several statuses, and then any, should those be in use.

    Each part is a range of the index (status, age_from).
    """
    if number <= 0:
        return []
    parts = [GenerationSession.objects.using(using).filter(status=status) for status in statuses]
    ages = sorted(
        age
        for part in parts
        for age in part.order_by("age_from").values_list("age_from", flat=True)[:number]
    )[:number]
    oldest = [part.filter(age_from__lte=ages[-1]) for part in parts] if ages else []
    return oldest + parts
