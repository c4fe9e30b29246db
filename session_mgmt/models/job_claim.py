"""Give a due job to one caller as its next attempt, by one UPDATE.

Django puts the statement together, once for each connection and each set of types: doing it at
every claim took four times as long as all the rest of the claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.exceptions import EmptyResultSet
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from session_mgmt.conf import get_settings
from session_mgmt.db.returning import compiled_update, execute_returning
from session_mgmt.models.job_rows import job_table
from session_mgmt.states import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from session_mgmt.models.job import Job

__all__ = ["claim"]

_NUMBER: Final = -(2**62) - 1  # stands for the job's number until that is known


def claim(model: type[Job], using: str, job_id: int, job_types: Iterable[str] | None) -> Job | None:
    """Claim a job of one of these types if it is due (see `JobQuerySet.claim`)."""
    types = None if job_types is None else tuple(job_types)
    lease: timedelta = get_settings().LEASE
    table = job_table(model, using)
    key = ("claim", types, lease)
    if (known := table.updates.get(key)) is None:
        rows = model._default_manager.using(using).filter(pk=_NUMBER)
        if types is not None:
            rows = rows.filter(job_type__in=types)
        try:
            known = table.updates[key] = compiled_update(
                rows.due(),
                status=JobStatus.RUNNING,
                attempt=F("attempt") + 1,
                lease_expires_at=Now() + lease,
                started_at=Coalesce("started_at", Now()),
                updated_at=Now(),
            )
        except EmptyResultSet:  # no types
            return None
    sql, params = known
    given = [job_id if one == _NUMBER else one for one in params]
    claimed = execute_returning(model, using, sql, given)
    return claimed[0] if claimed else None
