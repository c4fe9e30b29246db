"""Answer what a session looks like now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.http import Http404, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from session_mgmt.jobs.rescue import rescue_on_read
from session_mgmt.live.permissions import visible_session

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest

__all__ = ["snapshot"]


@never_cache
@transaction.non_atomic_requests
@require_safe
def snapshot(request: HttpRequest, session_id: UUID) -> JsonResponse:
    """Return the session's status and progress as JSON; one query after the login.

    Now and then one that asks for an unfinished session looks for lost jobs too (`RESCUE_ON_READ`).
    `last_event` grows with every status and scene, so a watcher sees by it whether to look again.
    Strangers get the 404 of a missing id.
    """
    try:
        session = visible_session(request, session_id)
    except Http404:
        return JsonResponse({"error": "No such session."}, status=404)
    if not session.status.is_terminal:
        rescue_on_read(session._state.db or "default")
    progress = session.progress
    return JsonResponse(
        {
            "id": session.session_id,
            "status": session.status.value,
            "finished": session.status.is_terminal,
            "error": session.error_message,
            "progress": progress.model_dump() if progress else None,
            "last_event": session.last_event,
        }
    )
