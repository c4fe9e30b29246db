"""How many sessions there are, how old and how well: one query over an index for each question.

The statistics read all of the index (status, age_from) and nothing of the table; they grow with
the number of sessions, so they belong on a dashboard and not into every request.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Avg, Count, DurationField, Func, Max, Min, Q, Value
from django.utils import timezone

from session_mgmt.models import GenerationSession
from session_mgmt.states import GenerationStatus

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler

__all__ = ["health_status", "performance_stats"]

_HOUR: Final = timedelta(hours=1)
_WARNING, _CRITICAL = 70, 90  # percent of the capacity


def performance_stats(using: str, max_sessions: int | None) -> dict[str, Any]:
    """Count the sessions by status and age; one query, constant memory.

    Ages are hours since a session was renewed or, if it never was, created.

    Args:
        using: database alias.
        max_sessions: how many there may be; None means any number, of which 0 percent are used.

    Returns:
        The seed's keys: total_sessions, max_capacity, utilization_percent, status_breakdown,
        age_distribution, average_age_hours, oldest_session_hours, newest_session_hours.
    """
    now = timezone.now()
    rows = _by_status(using, now)
    total = sum(row["total"] for row in rows)
    under = [sum(row[f"under_{hours}h"] for row in rows) for hours in (1, 6, 24)]
    stats: dict[str, Any] = {  # Any: the seed's dict holds numbers and dicts
        "total_sessions": total,
        "max_capacity": max_sessions,
        "utilization_percent": _utilization(total, max_sessions),
        "status_breakdown": {row["status"].value: row["total"] for row in rows},
        "age_distribution": {
            "under_1h": under[0],
            "1h_to_6h": under[1] - under[0],
            "6h_to_24h": under[2] - under[1],
            "over_24h": total - under[2],
        },
        "average_age_hours": 0,
        "oldest_session_hours": 0,
        "newest_session_hours": 0,
    }
    if total:
        ages = [row["average"] * row["total"] for row in rows]
        stats["average_age_hours"] = _hours(sum(ages, timedelta(0)) / total)
        stats["oldest_session_hours"] = _hours(now - min(row["oldest"] for row in rows))
        stats["newest_session_hours"] = _hours(now - max(row["newest"] for row in rows))
    return stats


def health_status(using: str, max_sessions: int | None, cleanup_active: bool) -> dict[str, str]:
    """Judge the sessions by how full it is, and count those that are stuck; one query.

    Args:
        using: database alias.
        max_sessions: how many there may be; None means any number, which is always healthy.
        cleanup_active: whether this process removes expired sessions in the background.

    Returns:
        The seed's keys, all texts: overall_health ("healthy" below 70 percent of the capacity,
        "warning" below 90, else "critical"), session_count, utilization_percent, stuck_sessions,
        cleanup_active ("yes" or "no").
    """
    sessions = GenerationSession.objects.using(using)
    counts = [
        rows.values(kind=Value(kind)).annotate(number=Count("status")).values_list("kind", "number")
        for kind, rows in (("all", sessions), ("stuck", sessions.stuck()))
    ]
    counted = dict(counts[0].union(counts[1], all=True))
    utilization = _utilization(counted["all"], max_sessions)
    if utilization < _WARNING:
        health = "healthy"
    else:
        health = "warning" if utilization < _CRITICAL else "critical"
    return {
        "overall_health": health,
        "session_count": str(counted["all"]),
        "utilization_percent": f"{utilization:.1f}%",
        "stuck_sessions": str(counted["stuck"]),
        "cleanup_active": "yes" if cleanup_active else "no",
    }


def _by_status(using: str, now: datetime) -> list[dict[str, Any]]:
    """Aggregate each status over the index, which holds everything that is asked for."""
    younger = {
        f"under_{hours}h": Count("status", filter=Q(age_from__gt=now - hours * _HOUR))
        for hours in (1, 6, 24)
    }
    rows = GenerationSession.objects.using(using).values("status")
    aggregates = rows.annotate(
        total=Count("status"),  # of the primary key it would read the table
        oldest=Min("age_from"),
        newest=Max("age_from"),
        average=Avg(_Since(Value(now), "age_from")),
        **younger,
    )
    order = list(GenerationStatus)
    return sorted((dict(row) for row in aggregates), key=lambda row: order.index(row["status"]))


class _Since(Func):
    """The time from the second moment to the first, as each database computes it fastest."""

    template, arg_joiner = "(%(expressions)s)", " - "
    output_field = DurationField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, Any]:
        # Django's own subtraction would call Python for each row.
        days = self.copy()
        moments = self.get_source_expressions()
        days.set_source_expressions([Func(one, function="julianday") for one in moments])
        return days.as_sql(
            compiler, connection, template="((%(expressions)s) * 86400000000.0)", **context
        )


def _utilization(total: int, max_sessions: int | None) -> float:
    return 0.0 if max_sessions is None else total / max_sessions * 100


def _hours(age: timedelta) -> float:
    # A session that was created after `now` was read is new, not unborn.
    return round(max(timedelta(0), age) / _HOUR, 2)
