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
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import OperationalError, connections

from session_mgmt.db.returning import execute_returning
from session_mgmt.exceptions import InvalidInputError
from session_mgmt.models.session import GenerationSession
from session_mgmt.signals import announce, job_pending
from session_mgmt.states import JobStatus
from session_mgmt.validation import checked_text, parsed_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.models.job import Job

__all__ = ["MAX_JOB_TYPE", "MAX_TARGET_ID", "JobDraft", "create_once"]

logger = logging.getLogger("session_mgmt.jobs")

MAX_JOB_TYPE: Final = 100
MAX_TARGET_ID: Final = 200
MAX_RETRIES: Final = 1_000
_SERIALIZATION_FAILURE: Final = "40001"


@dataclass(frozen=True, slots=True)
class JobDraft:
    """What a caller asks for, not checked yet."""

    job_type: str
    target_id: str
    parameters: dict[str, object] | str | None
    session: GenerationSession | None
    max_retries: int | None

    def as_job(self, model: type[Job]) -> Job:
        """Return an unsaved job.

        Raises:
            InvalidInputError: a value is refused.
        """
        return model(
            job_type=_name("job_type", self.job_type, MAX_JOB_TYPE),
            target_id=_name("target_id", self.target_id, MAX_TARGET_ID),
            parameters=parsed_object("parameters", self.parameters),
            session=_session(self.session),
            max_retries=_retries(self.max_retries),
        )


def _name(field: str, value: object, max_length: int) -> str:
    if not value or not isinstance(value, str):
        raise InvalidInputError(field, f"must be a text that is not empty, not {value!r}")
    return checked_text(field, value, max_length)


def _session(value: object) -> GenerationSession | None:
    if value is None or (isinstance(value, GenerationSession) and not value._state.adding):
        return value
    raise InvalidInputError("session", f"must be a saved GenerationSession, not {value!r}")


def _retries(value: object) -> int | None:
    if value is None or (isinstance(value, int) and 0 <= value <= MAX_RETRIES):
        return value
    raise InvalidInputError("max_retries", f"must be 0 to {MAX_RETRIES}, not {value!r}")


def _checked_statuses(given: Iterable[str] | None) -> list[str] | None:
    if given is None:
        return None
    if isinstance(given, str):
        raise InvalidInputError("check_statuses", f"must be a list of statuses, not {given!r}")
    try:
        statuses = [str(status) for status in given]
    except TypeError:
        raise InvalidInputError(
            "check_statuses", f"must be a list of statuses, not {given!r}"
        ) from None
    if not statuses:
        raise InvalidInputError("check_statuses", "is empty; None means any status")
    for status in statuses:
        if status not in JobStatus.values:
            known = ", ".join(JobStatus.values)
            raise InvalidInputError("check_statuses", f"{status!r} is not one of {known}")
    return statuses


def create_once(
    model: type[Job], using: str, draft: JobDraft, check_statuses: Iterable[str] | None
) -> tuple[Job, bool]:
    """Insert the next run of a target, or return the run that is there (see the module)."""
    statuses = _checked_statuses(check_statuses)
    new = draft.as_job(model)
    existing = model.objects.using(using).filter(job_type=new.job_type, target_id=new.target_id)
    if statuses is not None:
        existing = existing.filter(status__in=statuses)
    if connections[using].in_atomic_block:
        existing = existing.select_for_update()
    while True:
        try:
            created = _insert_next_run(new, using, statuses)
        except OperationalError as error:
            if connections[using].in_atomic_block or not _lost_the_race(error):
                raise
            continue
        if created:
            job = created[0]
            logger.info(
                "Created new processing job: type=%s, target=%s, id=%s",
                job.job_type,
                job.target_id,
                job.pk,
            )
            announce(job_pending, model, using, job_id=job.pk, job_type=job.job_type, alias=using)
            return job, True
        if found := existing.order_by("-run_number").first():
            logger.debug(
                "Job already exists: type=%s, target=%s, status=%s",
                found.job_type,
                found.target_id,
                found.status,
            )
            return found, False


def _lost_the_race(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == _SERIALIZATION_FAILURE


def _insert_next_run(new: Job, using: str, statuses: list[str] | None) -> list[Job]:
    connection = connections[using]
    quote = connection.ops.quote_name
    table = quote(new._meta.db_table)
    fields = [
        field
        for field in new._meta.concrete_fields
        if not field.primary_key and field.name != "run_number"
    ]
    values = [field.get_db_prep_save(field.pre_save(new, True), connection) for field in fields]
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    counted = "" if statuses is None else f" FILTER (WHERE status IN ({_places(statuses)}))"
    sql = (
        f"INSERT INTO {table} ({columns}, run_number)"  # noqa: S608 # names and placeholders
        f" SELECT {places}, COALESCE(MAX(run_number), 0) + 1 FROM {table}"
        f" WHERE job_type = %s AND target_id = %s HAVING COUNT(*){counted} = 0"
        " ON CONFLICT (job_type, target_id, run_number) DO NOTHING"
    )
    params = [*values, new.job_type, new.target_id, *(statuses or [])]
    return execute_returning(type(new), using, sql, params)


def _places(values: list[str]) -> str:
    return ", ".join(["%s"] * len(values))
