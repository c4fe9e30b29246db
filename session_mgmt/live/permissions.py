"""Decide who may watch a session: its owner, and staff with the view permission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404

from session_mgmt.models import GenerationSession

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.http import HttpRequest

__all__ = ["can_view", "visible_session"]


def can_view(user: AbstractBaseUser | AnonymousUser, session: GenerationSession) -> bool:
    """Tell whether `user` may see `session`, its progress, scenes and events."""
    if not user.is_authenticated:
        return False
    if session.owner_id is not None and session.owner_id == user.pk:
        return True
    is_staff = bool(getattr(user, "is_staff", False)) and user.is_active
    has_perm = getattr(user, "has_perm", None)
    return is_staff and callable(has_perm) and has_perm("session_mgmt.view_generationsession")


def visible_session(request: HttpRequest, session_id: UUID) -> GenerationSession:
    """Return the session if the request's user may see it; one query.

    Raises:
        Http404: there is no such session, or it is somebody else's; nobody can tell which.
    """
    # The user is looked at first, so that the answer's headers do not tell that a session exists.
    user = request.user
    user.is_authenticated  # noqa: B018 # reads the login session
    session = GenerationSession.objects.filter(pk=session_id).select_related("progress_row").first()
    if session is None or not can_view(user, session):
        raise Http404("No such session.")
    return session
