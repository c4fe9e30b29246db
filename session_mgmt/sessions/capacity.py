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
a minute later, as soon as no creation is under way, and room that was made after a refusal a second
later.
"""

from __future__ import annotations

import random
import time
from datetime import timedelta
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from django.db import OperationalError, connections, transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.unit_of_work import run_in_transaction
from session_mgmt.exceptions import SessionCapacityError
from session_mgmt.models import CapacityStripe, GenerationSession
from session_mgmt.sessions.eviction import MOST_EVICTED_AT_ONCE, evict

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["excess", "make_place", "take_place", "trim"]


_STRIPES: Final = 16
_ALWAYS_COUNTED: Final = 1000
_COUNT_IS_TRUE_FOR: Final = timedelta(minutes=1)
_REFUSAL_IS_TRUE_FOR: Final = 1.0
_SECONDS_BETWEEN_TRIES: Final = 1.0

# When this process last found a large limit reached; counting for every refusal would be slow.
_refused_at: dict[tuple[str, int], float] = {}
# When it last tried to count anew.
_tried_at: dict[tuple[str, int], float] = {}


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
    usable = "free > 0 AND max_sessions = %s"
    stale = connection.ops.adapt_datetimefield_value(timezone.now() - _COUNT_IS_TRUE_FOR)
    with connection.cursor() as cursor:
        # By hand, since building these two would take the ORM longer than the database needs.
        for where, chosen in (
            (f"id = (SELECT id FROM {table} WHERE {usable} LIMIT 1 {lock})", []),  # noqa: S608
            (f"id = %s AND {usable}", [random.randrange(_STRIPES)]),  # noqa: S311 # no secret
        ):
            cursor.execute(
                f"UPDATE {table} SET free = free - 1 WHERE {where}"  # noqa: S608 # a table's name
                " RETURNING counted_at < %s",
                [*chosen, max_sessions, stale],
            )
            if taken := cursor.fetchone():
                break
    if taken and taken[0]:
        # Not here: the caller's transaction would hold all stripes until its end.
        count = partial(_count_if_idle, max_sessions, using)
        transaction.on_commit(count, using=using, robust=True)
    return bool(taken)


def _count_if_idle(max_sessions: int, using: str) -> None:
    """Share out anew what is left, unless creations are under way; nobody is waited for."""
    now = time.monotonic()
    if now - _tried_at.get((using, max_sessions), -inf) < _SECONDS_BETWEEN_TRIES:
        return
    _tried_at[using, max_sessions] = now
    stripes = CapacityStripe.objects.using(using)
    try:
        with transaction.atomic(using=using):
            list(stripes.select_for_update(nowait=True).order_by("pk"))
            free = max_sessions - GenerationSession.objects.using(using).count()
            _share(max(0, free), max_sessions, timezone.now(), using)
    except OperationalError as error:
        if classify(error) is not Fault.TRANSIENT:
            raise


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
            creation was faster; with 40P01 when it deadlocks with a transaction that has created
            a session before and wants another. Run the transaction again.
    """
    refused_at = _refused_at.get((using, max_sessions), -inf)
    if policy == "reject" and time.monotonic() - refused_at < _REFUSAL_IS_TRUE_FOR:
        raise SessionCapacityError(max_sessions, "try again later")
    with transaction.atomic(using=using):
        free, counted_at = _free_places(_locked(max_sessions, using), max_sessions, policy, using)
        # One of them is the caller's.
        shared = free - 1 if max_sessions > _ALWAYS_COUNTED else 0
        _share(shared, max_sessions, counted_at, using)


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

    A creation makes room for itself; this is for a limit that was lowered, or set, by much. Any
    number of these may run at once: each counts while it holds all stripes.
    """

    def remove() -> int:
        _locked(max_sessions, using)
        part = min(excess(max_sessions, using), MOST_EVICTED_AT_ONCE)
        return evict(part, max_sessions, using) if part else 0

    removed = 0
    while not should_stop() and (gone := run_in_transaction(remove, using=using)):
        report(gone)
        removed += gone
    return removed


def _share(places: int, max_sessions: int, counted_at: datetime, using: str) -> None:
    """Cut so many places into stripes; all of them are locked."""
    CapacityStripe.objects.using(using).update(
        free=Case(
            When(pk__lt=places % _STRIPES, then=Value(places // _STRIPES + 1)),
            default=Value(places // _STRIPES),
        ),
        max_sessions=max_sessions,
        counted_at=counted_at,
    )


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
    if left and first.max_sessions == max_sessions > _ALWAYS_COUNTED:
        return left, first.counted_at
    sessions = GenerationSession.objects.using(using).order_by()
    free = max_sessions - sessions[: max_sessions + MOST_EVICTED_AT_ONCE].count()
    if free <= 0 and policy == "evict":
        several = min(max_sessions // MOST_EVICTED_AT_ONCE, MOST_EVICTED_AT_ONCE)
        free += evict(max(1 - free, several), max_sessions, using)
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
