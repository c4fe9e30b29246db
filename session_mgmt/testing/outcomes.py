"""Say what a job came to, so that two runs can be compared."""

from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from session_mgmt.models import GenerationSession, Job, JobStep

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["outcome_of"]


def outcome_of(job: Job, effects: Callable[[Job], object] | None) -> dict[str, object]:
    """Return what is left of a run: in the tables, and elsewhere as `effects` tells.

    The id of the session, which no two runs share, is replaced wherever it stands in a text.
    """
    using = job._state.db
    steps = JobStep.objects.using(using).filter(job=job)
    later = Job.objects.using(using).filter(pk__gt=job.pk).values_list("job_type", "status")
    session = GenerationSession.objects.using(using).with_id(job.session_id).first()
    outcome = {
        "status": job.status,
        "result": job.result,
        "steps": dict(steps.values_list("name", "result")),
        "session": session and session.status,
        "scenes": [dict(scene) for scene in session.scenes] if session else [],
        "jobs it created": dict(
            Counter(f"{job_type} {status.value}" for job_type, status in later)
        ),
        "effects": _settled(effects(job)) if effects else None,
    }
    return {key: _without(str(job.session_id), value) for key, value in outcome.items()}


def _settled(value: object) -> object:
    """Return the value as it is now, whatever becomes of the list or the rows behind it."""
    return list(value) if isinstance(value, QuerySet) else copy.deepcopy(value)


def _without(session_id: str, value: object) -> object:
    if isinstance(value, dict):
        return {_without(session_id, k): _without(session_id, v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without(session_id, item) for item in value]
    if isinstance(value, tuple):
        return tuple(_without(session_id, item) for item in value)
    if isinstance(value, str):
        return value.replace(session_id, "<session>")
    return value
