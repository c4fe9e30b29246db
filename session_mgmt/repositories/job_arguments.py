"""Check what the queries of `JobRepository` are asked with, and name what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.models.job_request import MAX_TARGET_ID, job_name

__all__ = ["checked_limit", "checked_targets"]

_MOST_JOBS: Final = 10_000


def checked_limit(limit: object) -> int:
    """Return how many jobs a query may give."""
    if isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= _MOST_JOBS:
        return limit
    raise InvalidInputError("limit", f"must be 1 to {_MOST_JOBS:,}, not {shown(limit)}")


def checked_targets(given: object) -> list[str]:
    """Return the targets; one that is refused is named as in `target_ids[17]`."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidInputError("target_ids", f"must be a list of texts, not {shown(given)}")
    return [
        job_name(f"target_ids[{place}]", target_id, MAX_TARGET_ID)
        for place, target_id in enumerate(given)
    ]
