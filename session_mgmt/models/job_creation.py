"""Create a job exactly once, however many callers try at the same moment.

Why it is right. A row that does not exist cannot be locked, so locking first and creating then
lets two callers both find nothing and both create. Here the runs of a target are numbered, and the
unique constraint on (job_type, target_id, run_number) is the arbiter:

1. One statement counts the runs whose status is in `check_statuses` and, only if there are none,
   inserts the run after the last one it sees. Two callers that see the same last run try to
   insert the same number; the constraint lets one through. `ON CONFLICT DO NOTHING` waits for a
   rival that has not committed yet, so the loser learns the outcome and not a guess.
2. A caller whose insert wrote nothing reads the run that stopped it. If that run has meanwhile
   left `check_statuses` there is nothing to return, and the caller begins again; every such round
   means that another caller's job was created and ended, so the callers as a whole make progress.
3. A caller can skip a number only if it sees a later run, and it inserts after a visible run only
   if no visible run is in `check_statuses`. A run that it cannot see either has a number that
   collides with its own insert (then 1. applies) or a larger one, which somebody could only give
   after seeing that very number taken.

READ COMMITTED: each statement sees what has committed, so the argument holds as it stands.
REPEATABLE READ and SERIALIZABLE: a conflict with a run that the snapshot does not show raises
40001 instead of writing, so nothing is created twice. In a transaction of the caller that is an
OperationalError, and whoever owns the transaction runs it again; otherwise the call begins again.
SQLite: one writer at a time, and the statement is one write.

The caller's transaction. A new run is the transaction's own row: nobody can change it, and who asks
for the same target waits in 1. for the outcome. If the transaction, or a savepoint around the call,
rolls back, the number is free again; who waited takes it, and so does a second call after the
savepoint, as the count in 1. no longer sees the row. A run that was found is locked by the reading
statement, which asks for its status again once it has the lock; so the answer stays true until the
end of the transaction. Without a transaction it is true at the moment of the reading.

Other callers' `check_statuses` may differ. Each caller's own count decides whether it inserts; the
numbers still collide. One caller may so add a run beside one that another still counts, which is
what it asked for, and that other returns the latest run it counts.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.db import OperationalError

from session_mgmt.exceptions import named
from session_mgmt.models.job_parameters import differing_keys
from session_mgmt.models.job_request import (
    MAX_JOB_TYPE,
    MAX_TARGET_ID,
    JobRequest,
    checked_statuses,
)
from session_mgmt.models.job_rows import CHOSEN, job_table, placeholders
from session_mgmt.signals import announce, jobs_pending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.models.job import Job
    from session_mgmt.models.job_request import CheckedRequest
    from session_mgmt.models.job_rows import JobTable

__all__ = [
    "MAX_JOB_TYPE",
    "MAX_TARGET_ID",
    "announce_new",
    "create_next",
    "create_once",
    "log_found",
    "log_new",
    "must_begin_again",
    "warn_if_different",
]

logger = logging.getLogger("session_mgmt.jobs")

# Serialization failure and deadlock: the statement was undone, and another caller's went through.
_LOST_RACES: Final = frozenset({"40001", "40P01"})
_MOST_KEYS_SHOWN: Final = 10


def create_once(
    model: type[Job], using: str, request: JobRequest, check_statuses: Iterable[str] | None
) -> tuple[Job, bool]:
    """Insert the next run of a target, or return the run that is there (see the module)."""
    statuses = checked_statuses("check_statuses", check_statuses)
    wanted = request.checked()
    table = job_table(model, using)
    while True:
        try:
            if job := _insert_next_run(table, wanted, statuses):
                log_new(job)
                announce_new([job], using)
                return job, True
            found = _latest_run(table, wanted, statuses)
        except OperationalError as error:
            if not must_begin_again(table, error):
                raise
            continue
        if found is not None:
            log_found(found)
            warn_if_different(wanted, found)
            return found, False


def create_next(model: type[Job], using: str, request: JobRequest) -> Job:
    """Insert the next run of a target, whatever runs there are.

    Callers at the same moment get one run each: who lost the number takes the one after it.
    """
    wanted = request.checked()
    table = job_table(model, using)
    while True:
        try:
            job = _insert_next_run(table, wanted, [])
        except OperationalError as error:
            if not must_begin_again(table, error):
                raise
            continue
        if job is not None:
            log_new(job)
            announce_new([job], using)
            return job


def must_begin_again(table: JobTable, error: OperationalError) -> bool:
    """Tell whether a statement only lost a race, outside of a transaction of the caller."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state in _LOST_RACES and not table.connection.in_atomic_block


def log_new(job: Job) -> None:
    """Log a new job as seed 002 has it."""
    logger.info(
        "Created new processing job: type=%s, target=%s, id=%s", job.job_type, job.target_id, job.pk
    )


def log_found(job: Job) -> None:
    """Log a job that was there, as seed 002 has it."""
    logger.debug(
        "Job already exists: type=%s, target=%s, status=%s",
        job.job_type,
        job.target_id,
        job.status,
    )


def announce_new(jobs: list[Job], using: str) -> None:
    """Have new jobs dispatched once they have committed."""
    announce(jobs_pending, type(jobs[0]), using, jobs=jobs)


def warn_if_different(wanted: CheckedRequest, found: Job) -> bool:
    """Log which parameters the job that is there does not share with those that were asked for.

    Only keys are named: values may be secret. Return whether there was something to say.
    """
    if not wanted.is_compared:
        return False
    keys = differing_keys(wanted.parameters, found.parameters)
    if keys:
        shown = ", ".join(named(key) for key in keys[:_MOST_KEYS_SHOWN])
        more = f" and {len(keys) - _MOST_KEYS_SHOWN} more" if len(keys) > _MOST_KEYS_SHOWN else ""
        logger.warning(
            "Job already exists with other parameters: type=%s, target=%s, differing keys: %s",
            found.job_type,
            found.target_id,
            shown + more,
        )
    return bool(keys)


def _insert_next_run(
    table: JobTable, wanted: CheckedRequest, statuses: list[str] | None
) -> Job | None:
    key = ("insert", None if statuses is None else len(statuses))
    sql = table.statements.get(key) or _insert_sql(table, statuses)
    table.statements[key] = sql
    now, stamp = table.now()
    names = (wanted.job_type, wanted.target_id)
    params = [stamp, stamp, *table.values(wanted), *table.fixed_values, *names, *(statuses or [])]
    rows = table.execute(sql, params)
    return table.builder(now)(wanted, *rows[0]) if rows else None


def _insert_sql(table: JobTable, statuses: list[str] | None) -> str:
    columns = ("created_at", "updated_at", *CHOSEN, *table.fixed)
    places = ", ".join(
        "%s::jsonb" if column == "parameters" and table.is_postgresql else "%s"
        for column in columns
    )
    none_there = "COUNT(*) = 0"
    if statuses is not None:
        none_there = (
            f"COUNT(*) FILTER (WHERE status IN ({placeholders(statuses)})) = 0"
            if statuses
            else "true"
        )
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}, run_number)"  # noqa: S608 # our names
        f" SELECT {places}, COALESCE(MAX(run_number), 0) + 1 FROM {table.name}"
        f" WHERE job_type = %s AND target_id = %s HAVING {none_there}"
        " ON CONFLICT (job_type, target_id, run_number) DO NOTHING RETURNING id, run_number"
    )


def _latest_run(table: JobTable, wanted: CheckedRequest, statuses: list[str] | None) -> Job | None:
    lock = table.lock
    key = ("latest", None if statuses is None else len(statuses), lock)
    if (sql := table.statements.get(key)) is None:
        among = "" if statuses is None else f" AND status IN ({placeholders(statuses)})"
        sql = table.statements[key] = (
            f"SELECT {table.columns} FROM {table.name}"  # noqa: S608 # names and placeholders
            f" WHERE job_type = %s AND target_id = %s{among}"
            f" ORDER BY run_number DESC LIMIT 1{lock}"
        )
    params = [wanted.job_type, wanted.target_id, *(statuses or [])]
    return next(iter(table.read(sql, params)), None)
