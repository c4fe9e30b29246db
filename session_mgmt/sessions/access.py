"""What `SessionManager` does to one session: start, read, change, remove (seed 001).

Every change is one short transaction that also appends the session's event, so what a watcher
replays is what happened.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db.models import Count
from django.utils import timezone

from session_mgmt.conf import get_settings
from session_mgmt.db.unit_of_work import run_in_transaction
from session_mgmt.exceptions import InvalidTransitionError, SessionNotFoundError, named
from session_mgmt.models import GenerationSession, Job, Progress
from session_mgmt.models.session import parse_id
from session_mgmt.schemas import ProgressUpdate
from session_mgmt.sessions.configuration import Configuration
from session_mgmt.sessions.removal import remove_locked
from session_mgmt.sessions.scenes import add_scene, replace_scenes
from session_mgmt.sessions.start import start_session
from session_mgmt.sessions.transitions import move
from session_mgmt.signals import announce, progress_updated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.contrib.auth.models import AbstractBaseUser

    from session_mgmt.models.session import GenerationSessionQuerySet
    from session_mgmt.schemas import GenerationRequest, ScenePrompt
    from session_mgmt.states import GenerationStatus

__all__ = ["SessionAccess"]

logger = logging.getLogger(__name__)


class SessionAccess(Configuration):
    """Create, read and change sessions one by one."""

    def start(
        self,
        request: GenerationRequest,
        *,
        owner: AbstractBaseUser | None = None,
        idempotency_key: str | None = None,
    ) -> GenerationSession:
        """Start a session in the caller's transaction, or in one of its own.

        With a key, any number of calls by one owner, concurrent ones too, start one session, and
        all of them return it.

        Args:
            request: what is to be done.
            owner: the user who may watch it.
            idempotency_key: names this start; at most 200 characters. Without an owner it must be
                hard to guess, since it leads to the session.

        Raises:
            SessionCapacityError: there is no room for another, and none may be made.
            IdempotencyConflictError: the key came with another request before.
            InvalidInputError: an argument is refused; nothing is written.
            OperationalError: with SQLSTATE 40001, at REPEATABLE READ or SERIALIZABLE, when another
                start under this key won a race; run the transaction again.
        """
        return start_session(
            request,
            owner=owner,
            idempotency_key="" if idempotency_key is None else idempotency_key,
            reserve_place=self.reserve_place,
            using=self.using,
        )

    def create_session(self, request: GenerationRequest) -> str:
        """Start a session and return its id."""
        return self.start(request).session_id

    def get_session(self, session_id: object) -> GenerationSession | None:
        """Return the session, or None; one query.

        Notes the access in `last_accessed`, by an UPDATE of its own, at most once in
        `TOUCH_INTERVAL`.
        """
        session = self._sessions().with_id(session_id).select_related("progress_row").first()
        if session is None:
            logger.warning("Session not found: %s", named(session_id))
            return None
        now = timezone.now()
        due = now - get_settings().TOUCH_INTERVAL
        if session.last_accessed <= due:
            # Whoever has the row locked is about to note an access too; a reader need not wait.
            idle = self._sessions().filter(pk=session.pk, last_accessed__lte=due)
            free = idle.select_for_update(skip_locked=True, no_key=True).values("pk")
            self._sessions().filter(pk__in=free).update(last_accessed=now)
            session.last_accessed = now
        return session

    def transition_to(
        self, session_id: object, status: GenerationStatus, error_message: str = ""
    ) -> None:
        """Move a session to `status` by one guarded UPDATE.

        Of two concurrent moves that exclude each other, one wins. The same status again succeeds
        and changes nothing. A terminal status never changes.

        Raises:
            SessionNotFoundError: no session has this id.
            InvalidTransitionError: it cannot go there from where it is; nothing is changed.
            InvalidInputError: there is no such status.
        """
        move(session_id, status, error_message, self.using)

    def update_session_status(
        self, session_id: object, status: GenerationStatus, error_message: str | None = None
    ) -> bool:
        """Move a session as `transition_to` does; False, and a warning, if it cannot go there."""
        try:
            self.transition_to(session_id, status, "" if error_message is None else error_message)
        except (SessionNotFoundError, InvalidTransitionError) as refusal:
            logger.warning("Cannot update session: %s", refusal)
            return False
        return True

    def update_session_progress(
        self, session_id: object, current_step: int, total_steps: int, description: str
    ) -> bool:
        """Store how far a session has come; one UPDATE after the first time.

        Raises:
            pydantic.ValidationError: negative steps, steps beyond the total, a text that cannot
                be stored; nothing is written. (It is a ValueError.)
        """
        update = ProgressUpdate(
            current_step=current_step, total_steps=total_steps, description=description
        )
        pk = parse_id(session_id)
        if pk is None or not Progress.objects.using(self.using).record(pk, update):
            logger.warning("Cannot update non-existent session: %s", named(session_id))
            return False
        announce(progress_updated, Progress, self.using, session_id=str(pk), progress=update)
        return True

    def add_scene_to_session(self, session_id: object, scene: ScenePrompt) -> bool:
        """Add a scene, or replace the one with its number; False if there is no such session."""
        return add_scene(session_id, scene, self.using)

    def set_session_scenes(self, session_id: object, scenes: Iterable[ScenePrompt]) -> bool:
        """Make these the session's only scenes, all or none; False if there is no such session.

        Raises:
            InvalidInputError: a scene is of the wrong type, or two have the same number.
        """
        return replace_scenes(session_id, scenes, self.using)

    def remove_session(self, session_id: object) -> bool:
        """Delete a session with all that belongs to it; False if there is none."""
        pk = parse_id(session_id)
        if pk is None or not self._remove(pk):
            logger.warning("Cannot remove non-existent session: %s", named(session_id))
            return False
        logger.info("Removed session %s", pk)
        return True

    def renew_session(self, session_id: object) -> bool:
        """Let a session's age count from now; one UPDATE, False if there is no such session.

        A clean-up that is about to remove it either sees this or is already done.
        """
        now = timezone.now()
        rows = self._sessions().with_id(session_id)
        return bool(rows.update(renewed_at=now, last_accessed=now, updated_at=now))

    def get_session_count(self) -> int:
        """Return the number of sessions; counts the table, so not for hot paths."""
        return self._sessions().count()

    def get_all_sessions_info(self) -> list[dict[str, Any]]:
        """Return a summary of every session in the seed's shape, oldest first; one query."""
        rows = (
            self._sessions()
            .defer("request_data")
            .select_related("progress_row")
            .annotate(num_scenes=Count("scene_rows"))
            .order_by("created_at", "pk")
        )
        return [
            {
                "session_id": session.session_id,
                "status": session.status.value,
                "created_at": session.created_at.isoformat(),
                "last_accessed": session.last_accessed.isoformat(),
                "age_hours": session.get_age_hours(),
                "num_scenes": session.num_scenes,  # type: ignore[attr-defined] # annotated above
                "progress": session.progress.model_dump() if session.progress else None,
            }
            for session in rows.iterator()
        ]

    def _remove(self, pk: UUID) -> bool:
        def remove() -> bool:
            # Jobs before their session, as an attempt that is writing locks them.
            jobs = Job.objects.using(self.using).filter(session=pk)
            list(jobs.select_for_update().order_by("pk").values_list("pk"))
            if not self._sessions().filter(pk=pk).select_for_update().values_list("pk"):
                return False
            remove_locked([pk], self.using)
            return True

        # Again after a deadlock with somebody who has locked what belongs to it first.
        return run_in_transaction(remove, using=self.using)

    def _sessions(self) -> GenerationSessionQuerySet:
        return GenerationSession.objects.using(self.using)
