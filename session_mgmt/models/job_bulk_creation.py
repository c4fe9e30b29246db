"""Create many jobs in one statement, each exactly once (see `job_creation` for a single one).

Why it is right. The statement takes a list of targets, each once: of several requests for one
target the first is written, and the others get its job. For each target it looks for a run in
`check_statuses` and for the last number, and inserts the next one, all by one snapshot; so what
`job_creation` says of a single insert holds for each row of this one.

Order. A row that is inserted makes others wait for its number until the transaction ends. If two
callers inserted a, b and b, a, each could hold what the other waits for. So the targets are sorted
here, by code points and not by a database's collation, and the rows are inserted in that order: a
caller only ever waits for a target that comes after all those it holds, and no circle can close.
Runs that were found are locked in the same order, after the inserts. A transaction of the caller
can hold other rows from before; then a deadlock is possible, one side gets 40P01, and whoever owns
that transaction runs it again.

Losers. A target for which nothing was inserted has a run that the statement saw, or one that a
rival has committed meanwhile. One statement reads the latest of each. Those that have left
`check_statuses` meanwhile begin again, in the same order, without those that are settled.

Nothing is half-written: all requests are checked before the first write, the statement is one, and
a statement that lost a race by 40001 or 40P01 has written nothing when it is run again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from django.db import OperationalError

from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.models.job_creation import (
    announce_new,
    log_found,
    log_new,
    must_begin_again,
    warn_if_different,
)
from session_mgmt.models.job_request import JobRequest, checked_statuses
from session_mgmt.models.job_rows import CHOSEN, job_table, placeholders
from session_mgmt.models.job_source import as_source, source_sql

if TYPE_CHECKING:
    from session_mgmt.models.job import Job
    from session_mgmt.models.job_request import CheckedRequest
    from session_mgmt.models.job_rows import JobTable

__all__ = ["create_many"]

logger = logging.getLogger("session_mgmt.jobs")

_Target: TypeAlias = tuple[str, str]
_MOST_WARNINGS: Final = 10


def create_many(
    model: type[Job],
    using: str,
    requests: Iterable[JobRequest],
    check_statuses: Iterable[str] | None,
) -> list[tuple[Job, bool]]:
    """Insert the next run of each target that has none, and return a job for each request."""
    statuses = checked_statuses("check_statuses", check_statuses)
    wanted = _checked(requests)
    first: dict[_Target, CheckedRequest] = {}
    for request in wanted:
        first.setdefault(request[:2], request)
    waiting = dict(sorted(first.items()))
    table = job_table(model, using)
    created: dict[_Target, Job] = {}
    found: dict[_Target, Job] = {}
    while waiting:
        try:
            made = _insert(table, waiting, statuses)
            _announce(made.values(), using)
            created.update(made)
            waiting = {target: waiting[target] for target in waiting if target not in made}
            if waiting:
                there = _latest(table, waiting, statuses)
                found.update(there)
                waiting = {target: waiting[target] for target in waiting if target not in there}
        except OperationalError as error:
            if not must_begin_again(table, error):
                raise
    if logger.isEnabledFor(logging.DEBUG):
        for job in found.values():
            log_found(job)
    _warn(wanted, created, found)
    return _answers(wanted, created, found)


def _answers(
    wanted: list[CheckedRequest], created: dict[_Target, Job], found: dict[_Target, Job]
) -> list[tuple[Job, bool]]:
    unclaimed = dict(created)
    answers = []
    for request in wanted:
        target = request[:2]
        if job := unclaimed.pop(target, None):
            answers.append((job, True))
        else:
            answers.append((created.get(target) or found[target], False))
    return answers


def _checked(requests: object) -> list[CheckedRequest]:
    if not isinstance(requests, Iterable) or isinstance(requests, str | bytes):
        raise InvalidInputError("jobs", f"must be a list of JobRequest, not {shown(requests)}")
    checked: list[CheckedRequest] = []
    for request in requests:
        place = f"jobs[{len(checked)}]"
        if not isinstance(request, JobRequest):
            raise InvalidInputError(place, f"must be a JobRequest, not {shown(request)}")
        try:
            checked.append(request.checked())
        except InvalidInputError as error:
            problem = str(error).removeprefix(f"{error.field}: ")
            raise InvalidInputError(f"{place}.{error.field}", problem) from None
    return checked


def _insert(
    table: JobTable, waiting: dict[_Target, CheckedRequest], statuses: list[str] | None
) -> dict[_Target, Job]:
    key = ("insert many", None if statuses is None else len(statuses))
    if (sql := table.statements.get(key)) is None:
        sql = table.statements[key] = _insert_sql(table, statuses)
    now, stamp = table.now()
    source = as_source(table, waiting.values())
    rows = table.execute(sql, [stamp, stamp, *table.fixed_values, source, *(statuses or [])])
    build = table.builder(now)
    return {
        (job_type, target_id): build(waiting[job_type, target_id], pk, number)
        for pk, number, job_type, target_id in rows
    }


def _insert_sql(table: JobTable, statuses: list[str] | None) -> str:
    chosen = ", ".join(f"w.{column}" for column in CHOSEN)
    columns = ", ".join(("created_at", "updated_at", *table.fixed, *CHOSEN))
    return (
        f"INSERT INTO {table.name} ({columns}, run_number)"  # noqa: S608 # names and placeholders
        f" SELECT %s, %s, {placeholders(table.fixed)}, {chosen},"
        f" COALESCE((SELECT MAX(r.run_number) {_runs(table)}), 0) + 1"
        f" FROM {source_sql(table)} AS w"
        f" WHERE NOT EXISTS (SELECT 1 {_runs(table, statuses)})"
        " ORDER BY w.position"
        " ON CONFLICT (job_type, target_id, run_number) DO NOTHING"
        " RETURNING id, run_number, job_type, target_id"
    )


def _latest(
    table: JobTable, waiting: dict[_Target, CheckedRequest], statuses: list[str] | None
) -> dict[_Target, Job]:
    lock = table.lock
    key = ("latest many", None if statuses is None else len(statuses), lock)
    if (sql := table.statements.get(key)) is None:
        # The outer status is asked for again under the lock, the number of the run is not.
        status = _among(f"{table.name}.", statuses)
        sql = table.statements[key] = (
            f"SELECT {table.columns} FROM {source_sql(table)} AS w JOIN {table.name}"  # noqa: S608
            f" ON {table.name}.job_type = w.job_type AND {table.name}.target_id = w.target_id"
            f" WHERE {table.name}.run_number = (SELECT MAX(r.run_number) {_runs(table, statuses)})"
            f"{status} ORDER BY w.position{lock}"
        )
    names = [request._replace(text="{}", session=None) for request in waiting.values()]
    given = statuses or []
    jobs = table.read(sql, [as_source(table, names), *given, *given])
    return {(job.job_type, job.target_id): job for job in jobs}


def _runs(table: JobTable, statuses: list[str] | None = None) -> str:
    return (
        f"FROM {table.name} AS r WHERE r.job_type = w.job_type AND r.target_id = w.target_id"
        + _among("r.", statuses)
    )


def _among(prefix: str, statuses: list[str] | None) -> str:
    return "" if statuses is None else f" AND {prefix}status IN ({placeholders(statuses)})"


def _announce(jobs: Iterable[Job], using: str) -> None:
    """Log new jobs, and have them dispatched once they have committed."""
    made = list(jobs)
    if logger.isEnabledFor(logging.INFO):
        for job in made:
            log_new(job)
    if made:
        announce_new(made, using)


def _warn(
    wanted: list[CheckedRequest], created: dict[_Target, Job], found: dict[_Target, Job]
) -> None:
    warned = 0
    for request in wanted:
        job = found.get(request[:2]) or created[request[:2]]
        # A new job has the very dict of the request that it was created for.
        if request.parameters is not job.parameters and warned < _MOST_WARNINGS:
            warned += warn_if_different(request, job)
    if warned == _MOST_WARNINGS:
        logger.warning("There may be more jobs whose parameters differ; they are not looked at")
