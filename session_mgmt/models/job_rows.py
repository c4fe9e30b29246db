"""Write and read rows of new jobs with as little work in Python as there can be.

The SQL and the values that every new job has are worked out once for each connection. Only what a
caller may choose is converted at each call, and only what the database chooses is read back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from django.db import connections
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init
from django.utils import timezone

from session_mgmt.db.returning import columns_of, instances

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Field

    from session_mgmt.models.job import Job
    from session_mgmt.models.job_request import CheckedRequest

__all__ = ["CHOSEN", "JobTable", "job_table", "placeholders"]

# What a request decides, by the names of the columns, in the order of `JobTable.values`.
CHOSEN: Final = (
    "job_type",
    "target_id",
    "parameters",
    "session_id",
    "max_retries",
    "priority",
    "run_after",
)
_STAMPS: Final = ("created_at", "updated_at")
_NUMBERED: Final = ("id", "run_number")
_TABLES: Final = "_session_mgmt_jobs"


def placeholders(values: Sequence[object]) -> str:
    """Return as many placeholders."""
    return ", ".join(["%s"] * len(values))


@dataclass(frozen=True, slots=True)
class JobTable:
    """The table of jobs on one connection.

    Attributes:
        name: quoted.
        fixed: the columns that are the same for all new jobs, where that is not NULL.
        fixed_values: their values, as the driver takes them.
        template: a new job's values for all columns, as Python has them, in the table's order.
        statements: SQL that was put together before, by what it depends on.
        updates: the same for statements that Django has put together, with their parameters.
    """

    model: type[Job]
    using: str
    connection: BaseDatabaseWrapper
    name: str
    fixed: tuple[str, ...]
    fixed_values: tuple[object, ...]
    template: dict[str, Any]  # Any: values of any field
    statements: dict[object, str]
    updates: dict[object, tuple[str, tuple[Any, ...]]]  # Any: what drivers take

    @property
    def is_postgresql(self) -> bool:
        """Tell whether this is PostgreSQL; else it is SQLite."""
        return self.connection.vendor == "postgresql"

    def stored(self, column: str, value: object) -> Any:  # Any: what drivers take
        """Return a value as the driver takes it."""
        field = cast("Field[Any, Any]", self.model._meta.get_field(column))  # Any: as django-stubs
        return field.get_db_prep_save(value, self.connection)

    def values(self, request: CheckedRequest) -> tuple[object, ...]:
        """Return the values of the `CHOSEN` columns, as the driver takes them."""
        session, moment = request.session, request.run_after
        return (
            request.job_type,
            request.target_id,
            request.text,
            None if session is None else self.stored("session", session.pk),
            request.max_retries,
            request.priority,
            None if moment is None else self.stored("run_after", moment),
        )

    def builder(self, now: datetime) -> Callable[[CheckedRequest, int, int], Job]:
        """Return a function that makes the job that was inserted for a request, as if read.

        It takes the request, the job's id and the number of its run.
        """
        is_watched = pre_init.has_listeners(self.model) or post_init.has_listeners(self.model)
        from_values = self._from_values if is_watched else self._unpickled

        def build(request: CheckedRequest, pk: int, run_number: int) -> Job:
            values = self.template.copy()
            values["id"], values["run_number"] = pk, run_number
            values["created_at"] = values["updated_at"] = now
            values["job_type"], values["target_id"] = request.job_type, request.target_id
            values["parameters"] = request.parameters
            values["max_retries"] = request.max_retries
            values["priority"], values["run_after"] = request.priority, request.run_after
            job = from_values(values)
            if request.session is not None:
                job.session = request.session
            return job

        return build

    def _from_values(self, values: dict[str, Any]) -> Job:  # Any: values of any field
        return self.model.from_db(self.using, list(values), list(values.values()))

    def _unpickled(self, values: dict[str, Any]) -> Job:  # Any: values of any field
        """Do as unpickling does, in a third of the time: no receiver is told."""
        job = self.model.__new__(self.model)
        state = values["_state"] = ModelState()
        state.adding, state.db = False, self.using
        job.__dict__ = values
        return job

    def execute(self, sql: str, params: Sequence[Any]) -> list[Any]:  # Any: as drivers have it
        """Return the rows that a statement gives."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, params)
            rows: list[Any] = cursor.fetchall()
        return rows

    def read(self, sql: str, params: Sequence[Any]) -> list[Job]:  # Any: as drivers have it
        """Return the jobs whose columns (see `columns`) a statement gives."""
        return instances(self.model, self.using, self.execute(sql, params))

    @property
    def columns(self) -> str:
        """The columns that `read` wants."""
        return columns_of(self.model, self.using)

    @property
    def lock(self) -> str:
        """Keep a row as it is until the caller's transaction ends; nothing outside of one.

        It stops every change and the deletion, but not a row that refers to this one.
        """
        can_lock = (
            self.connection.in_atomic_block and self.connection.features.has_select_for_update
        )
        return f" FOR NO KEY UPDATE OF {self.name}" if can_lock else ""

    def now(self) -> tuple[datetime, object]:
        """Return the moment for a new job's stamps, and as the driver takes it."""
        moment = timezone.now()
        return moment, self.stored("created_at", moment)


def job_table(model: type[Job], using: str) -> JobTable:
    """Return the table of jobs on this thread's connection."""
    connection = connections[using]
    tables: dict[type[Job], JobTable] = connection.__dict__.setdefault(_TABLES, {})
    if (known := tables.get(model)) is not None:
        return known
    fields = model._meta.concrete_fields
    template = {field.attname: field.get_default() for field in fields}
    decided = {*CHOSEN, *_STAMPS, *_NUMBERED}
    stored = {
        str(field.column): field.get_db_prep_save(template[field.attname], connection)
        for field in fields
        if field.attname not in decided and template[field.attname] is not None
    }
    table = tables[model] = JobTable(
        model=model,
        using=using,
        connection=connection,
        name=connection.ops.quote_name(model._meta.db_table),
        fixed=tuple(stored),
        fixed_values=tuple(stored.values()),
        template=template,
        statements={},
        updates={},
    )
    return table
