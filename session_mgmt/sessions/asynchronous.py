"""The same calls for async code: thin, over the one synchronous core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async

from session_mgmt.sessions.access import SessionAccess

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from session_mgmt.models import GenerationSession
    from session_mgmt.schemas import GenerationRequest, ScenePrompt
    from session_mgmt.states import GenerationStatus

__all__ = ["AsyncAccess"]


class AsyncAccess(SessionAccess):
    """Await what views and consumers do to a session; see the methods without the `a`."""

    async def astart(
        self,
        request: GenerationRequest,
        *,
        owner: AbstractBaseUser | None = None,
        idempotency_key: str | None = None,
    ) -> GenerationSession:
        """Await `start`."""
        return await sync_to_async(self.start)(
            request, owner=owner, idempotency_key=idempotency_key
        )

    async def acreate_session(self, request: GenerationRequest) -> str:
        """Await `create_session`."""
        return await sync_to_async(self.create_session)(request)

    async def aget_session(self, session_id: object) -> GenerationSession | None:
        """Await `get_session`; progress comes with it, `scenes` take a query of their own."""
        return await sync_to_async(self.get_session)(session_id)

    async def aupdate_session_status(
        self, session_id: object, status: GenerationStatus, error_message: str | None = None
    ) -> bool:
        """Await `update_session_status`."""
        return await sync_to_async(self.update_session_status)(session_id, status, error_message)

    async def aupdate_session_progress(
        self, session_id: object, current_step: int, total_steps: int, description: str
    ) -> bool:
        """Await `update_session_progress`."""
        return await sync_to_async(self.update_session_progress)(
            session_id, current_step, total_steps, description
        )

    async def aadd_scene_to_session(self, session_id: object, scene: ScenePrompt) -> bool:
        """Await `add_scene_to_session`."""
        return await sync_to_async(self.add_scene_to_session)(session_id, scene)

    async def aremove_session(self, session_id: object) -> bool:
        """Await `remove_session`."""
        return await sync_to_async(self.remove_session)(session_id)

    async def arenew_session(self, session_id: object) -> bool:
        """Await `renew_session`."""
        return await sync_to_async(self.renew_session)(session_id)
