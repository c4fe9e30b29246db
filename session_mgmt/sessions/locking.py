"""Change sessions under the lock of their row, alone or many at once (seed 001).

The lock is the database's, so it holds across threads, processes and machines, and a process that
dies lets go of it. A transaction may lock the same session again. Locks are taken in the order of
the ids by whoever takes several at once, so two of those cannot deadlock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, TypeVar

from django.db import OperationalError, transaction

from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.lock_timeout import busy_timeout, is_lock_failure, lock_timeout
from session_mgmt.exceptions import (
    InvalidInputError,
    SessionLockError,
    SessionManagerError,
    SessionNotFoundError,
    named,
    shown,
)
from session_mgmt.models import GenerationSession
from session_mgmt.models.session import parse_id
from session_mgmt.sessions.arguments import checked_wait
from session_mgmt.sessions.changes import CHANGEABLE, known_attributes, saved_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["update_attributes", "update_many", "with_lock"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_ONE_TEXT: Final = (str, bytes, bytearray)


def with_lock(
    session_id: object,
    operation: Callable[[GenerationSession], T],
    timeout: float | None,
    using: str,
) -> T:
    """Call `operation` with the locked session and save what it did (see SessionManager)."""
    _check_callable(operation)
    if timeout is not None:
        timeout = checked_wait("timeout", timeout)
    with ExitStack() as stack:
        session = _acquire(stack, session_id, timeout, using)
        if session is None:
            raise SessionNotFoundError(session_id)
        try:
            with saved_changes(session, using):
                result = operation(session)
        except Exception as error:
            # Its text may hold what no log should; who called gets all of it.
            logger.warning("Operation failed for session %s: %s", session.pk, type(error).__name__)
            raise
    return result


def update_attributes(session_id: object, updates: Mapping[str, object], using: str) -> None:
    """Set several attributes at once, or none (see SessionManager)."""
    if not isinstance(updates, Mapping):
        raise InvalidInputError("updates", f"must be a dict, not {shown(updates)}")
    known = known_attributes()
    for name in updates:
        if name not in known:
            logger.warning("Unknown session attribute: %s", named(name))
        elif name not in CHANGEABLE:
            raise InvalidInputError(name, "cannot be changed")

    def apply(session: GenerationSession) -> None:
        for name, value in updates.items():
            if name in known:
                try:
                    setattr(session, name, value)
                except ValueError as error:  # Django: not a user
                    raise InvalidInputError(name, str(error)) from None

    with_lock(session_id, apply, None, using)


def update_many(
    session_ids: object, operation: Callable[[GenerationSession], object], using: str
) -> int:
    """Call `operation` with each session, each in a savepoint (see SessionManager)."""
    _check_callable(operation)
    if not isinstance(session_ids, Iterable) or isinstance(session_ids, _ONE_TEXT):
        raise InvalidInputError("session_ids", f"must be a list of ids, not {shown(session_ids)}")
    ids = {pk for session_id in session_ids if (pk := parse_id(session_id)) is not None}
    done = 0
    with transaction.atomic(using=using):
        # Read first: who waits for a lock while a cursor is open would hold both.
        for session in list(_rows(using).filter(pk__in=ids).order_by("pk")):
            try:
                with transaction.atomic(using=using), saved_changes(session, using):
                    operation(session)
            except Exception as error:
                is_own = isinstance(error, SessionManagerError)
                if not is_own and classify(error) is not Fault.PERMANENT:
                    raise  # the transaction is lost, or is to be run again as a whole
                logger.exception("Bulk update failed for session %s", session.pk)
            else:
                done += 1
    logger.info("Bulk updated %d of %d sessions", done, len(ids))
    return done


def _rows(using: str) -> GenerationSessionQuerySet:
    rows = GenerationSession.objects.using(using).select_related("progress_row")
    # Foreign keys may still be checked, so that children are written by whoever need not wait.
    return rows.select_for_update(of=("self",), no_key=True)


def _acquire(
    stack: ExitStack, session_id: object, timeout: float | None, using: str
) -> GenerationSession | None:
    try:
        with busy_timeout(timeout, using):
            stack.enter_context(transaction.atomic(using=using))
        with lock_timeout(timeout, using):
            return _rows(using).with_id(session_id).first()
    except OperationalError as error:
        if is_lock_failure(error):
            raise SessionLockError(session_id) from error
        raise


def _check_callable(operation: object) -> None:
    if not callable(operation):
        raise InvalidInputError("operation", f"must be callable, not {shown(operation)}")
