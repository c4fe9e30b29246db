"""Start a session, once for each idempotency key."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from session_mgmt.db.unit_of_work import run_in_transaction
from session_mgmt.exceptions import IdempotencyConflictError, InvalidInputError, shown
from session_mgmt.models import GenerationSession, SessionEvent
from session_mgmt.schemas import GenerationRequest
from session_mgmt.signals import announce, session_created
from session_mgmt.validation import checked_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import AbstractBaseUser

__all__ = ["start_session"]

_MAX_KEY: Final = 200


class ReservePlace(Protocol):
    """Tells whether one more session may be created in the current transaction."""

    def __call__(self, *, thoroughly: bool) -> bool:
        """See `Upkeep.reserve_place`."""


def start_session(
    request: GenerationRequest,
    *,
    owner: AbstractBaseUser | None,
    idempotency_key: str,
    reserve_place: ReservePlace,
    using: str,
) -> GenerationSession:
    """Create a session, or return the one that this key already started (see SessionManager).

    `reserve_place` is called in the transaction that creates it: quickly at first, and after a
    rollback thoroughly. It raises where there is no room.
    """
    request = _checked(request, owner, idempotency_key)
    new = GenerationSession(
        owner=owner,  # type: ignore[misc] # the project names its user model
        request_data=request,
        idempotency_key=idempotency_key,
        request_fingerprint=_fingerprint(request),
        last_event=1,
    )
    while not idempotency_key or (first := _with_key_of(new, using)) is None:
        # Once more when a rival's session was removed before it could be read.
        if _inserted(new, reserve_place, using):
            return new
    return first


class _NotYet(Exception):  # noqa: N818 # no error: it rolls back
    """No place was found quickly; what the attempt has locked is to be let go of."""


class _KeyIsTaken(Exception):  # noqa: N818 # no error: it rolls back
    """A rival was faster; the place that was taken is free again."""


def _inserted(new: GenerationSession, reserve_place: ReservePlace, using: str) -> bool:
    """Create the session, in a transaction that is run again after a deadlock."""
    try:
        for thoroughly in (False, True):
            reserve = partial(reserve_place, thoroughly=thoroughly)
            with suppress(_NotYet):
                run_in_transaction(partial(_insert, new, reserve, using), using=using)
                return True
    except _KeyIsTaken:
        pass
    return False


def _insert(new: GenerationSession, reserve_place: Callable[[], bool], using: str) -> None:
    if not reserve_place():
        raise _NotYet
    # A rival's insert is waited for and then ignored; an error would end the transaction.
    sessions = GenerationSession.objects.using(using)
    sessions.bulk_create([new], ignore_conflicts=bool(new.idempotency_key))
    if new.idempotency_key and not sessions.filter(pk=new.pk).exists():
        raise _KeyIsTaken
    SessionEvent.objects.using(using).create(session=new, seq=1, kind="session_created")
    announce(session_created, GenerationSession, using, session_id=new.session_id)


def _checked(request: object, owner: AbstractBaseUser | None, key: object) -> GenerationRequest:
    if not isinstance(request, GenerationRequest):
        raise InvalidInputError(
            "request", f"must be a GenerationRequest, not {type(request).__name__}"
        )
    if not isinstance(key, str):
        raise InvalidInputError("idempotency_key", f"must be a text, not {shown(key)}")
    checked_text("idempotency_key", key, _MAX_KEY)
    user_model = GenerationSession._meta.get_field("owner").related_model
    is_user = isinstance(owner, user_model)
    if owner is not None and (not is_user or owner._state.adding):
        raise InvalidInputError("owner", f"must be a saved user, not {shown(owner)}")
    return request.rechecked("request")


def _with_key_of(new: GenerationSession, using: str) -> GenerationSession | None:
    sessions = GenerationSession.objects.using(using).filter(idempotency_key=new.idempotency_key)
    found = sessions.filter(owner_id=new.owner_id).first()
    if found is not None and found.request_fingerprint != new.request_fingerprint:
        raise IdempotencyConflictError(new.idempotency_key, found.pk)
    return found


def _fingerprint(request: GenerationRequest) -> str:
    canonical = json.dumps(request.model_dump(mode="json"), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
