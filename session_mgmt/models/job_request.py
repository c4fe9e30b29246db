"""What a caller asks for when a job is to be created, checked completely before any write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.models.job_parameters import checked_parameters
from session_mgmt.models.session import GenerationSession
from session_mgmt.states import JobStatus
from session_mgmt.validation import checked_text

__all__ = [
    "MAX_JOB_TYPE",
    "MAX_TARGET_ID",
    "CheckedRequest",
    "JobRequest",
    "checked_statuses",
    "job_name",
]

MAX_JOB_TYPE: Final = 100
MAX_TARGET_ID: Final = 200
MAX_RETRIES: Final = 1_000
MAX_PRIORITY: Final = 100


class CheckedRequest(NamedTuple):
    """A request that can be written as it stands.

    Attributes:
        parameters: what the job will have, as the database will give it back.
        text: the same as JSON text.
        is_compared: whether the caller gave parameters at all.
    """

    job_type: str
    target_id: str
    parameters: dict[str, object]
    text: str
    is_compared: bool
    session: GenerationSession | None
    max_retries: int | None
    priority: int
    run_after: datetime | None


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One job to be created by `create_jobs_if_not_exist`.

    Making one checks nothing: the call checks all of them before it writes any.

    Attributes:
        job_type: the name of a handler, at most 100 characters.
        target_id: what the job works on, at most 200 characters.
        parameters: a JSON object, as a dict or as text.
        session: whose work this is.
        max_retries: how many attempts may follow the first; None leaves it to the handler.
        priority: -100 to 100, larger is sooner.
        run_after: not to be started before, with a time zone; None means at once.
    """

    job_type: str
    target_id: str
    parameters: dict[str, object] | str | None = None
    session: GenerationSession | None = None
    max_retries: int | None = None
    priority: int = 0
    run_after: datetime | None = None

    def checked(self) -> CheckedRequest:
        """Return what can be written.

        Raises:
            InvalidInputError: a value is refused.
        """
        parameters, text = checked_parameters(self.parameters)
        return CheckedRequest(
            job_name("job_type", self.job_type, MAX_JOB_TYPE),
            job_name("target_id", self.target_id, MAX_TARGET_ID),
            parameters,
            text,
            self.parameters is not None,
            _session(self.session),
            _whole("max_retries", self.max_retries, 0, MAX_RETRIES),
            _priority(self.priority),
            _moment(self.run_after),
        )


def job_name(field: str, value: object, max_length: int) -> str:
    """Return a type or a target.

    Raises:
        InvalidInputError: it is no text, or empty, or cannot be stored.
    """
    if not value or not isinstance(value, str):
        raise InvalidInputError(field, f"must be a text that is not empty, not {shown(value)}")
    return checked_text(field, value, max_length)


def _session(value: object) -> GenerationSession | None:
    if value is None or (isinstance(value, GenerationSession) and not value._state.adding):
        return value
    raise InvalidInputError("session", f"must be a saved GenerationSession, not {shown(value)}")


def _whole(field: str, value: object, least: int, most: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise InvalidInputError(field, f"must be {least} to {most}, not {shown(value)}")


def _priority(value: object) -> int:
    checked = _whole("priority", value, -MAX_PRIORITY, MAX_PRIORITY)
    if checked is None:
        raise InvalidInputError("priority", f"must be {-MAX_PRIORITY} to {MAX_PRIORITY}, not None")
    return checked


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidInputError("run_after", f"must be a datetime, not {shown(value)}")
    try:
        offset = value.utcoffset()
        value.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("run_after", f"cannot be stored: {error}") from None
    if offset is None:
        raise InvalidInputError("run_after", f"{shown(value)} has no time zone; give it one")
    return value


def checked_statuses(field: str, given: object) -> list[str] | None:
    """Return the statuses as plain text; None means any.

    Raises:
        InvalidInputError: this is no list of statuses, or is empty.
    """
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidInputError(field, f"must be a list of statuses, not {shown(given)}")
    statuses = []
    for status in given:
        if not isinstance(status, str) or status not in _STATUSES:
            known = ", ".join(_STATUSES)
            raise InvalidInputError(field, f"{shown(status)} is not one of {known}")
        statuses.append(_STATUSES[status])
    if not statuses:
        raise InvalidInputError(field, "is empty; None means any status")
    return sorted(set(statuses))


_STATUSES: Final[dict[str, str]] = {member.value: str(member.value) for member in JobStatus}
