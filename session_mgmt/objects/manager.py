"""Give every thread and task its session, and commit what they change (seed 000)."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from session_mgmt.conf import get_settings
from session_mgmt.db.errors import cause_of, describe
from session_mgmt.db.uninterrupted import uninterrupted
from session_mgmt.exceptions import StaleObjectError
from session_mgmt.objects import auto_commit
from session_mgmt.objects.config import checked_interval
from session_mgmt.objects.locks import renew_after_fork
from session_mgmt.objects.owners import Owners
from session_mgmt.objects.session import DEFAULT_PARTITION, Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.objects.auto_commit import CommitCounts
    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.classes import ClsMeta
    from session_mgmt.objects.engine import Oparaca
    from session_mgmt.objects.holding import Holding
    from session_mgmt.objects.scopes import SessionScope

__all__ = ["AutoSessionManager"]

logger = logging.getLogger(__name__)

_FEW: Final = 100


class AutoSessionManager:
    """The sessions of one engine.

    A session lives as long as its thread or task, and beyond that while something of it is not
    written. Any thread may call any method.
    """

    def __init__(self, oparaca: Oparaca) -> None:
        self._oparaca = oparaca
        self._lock = threading.RLock()
        self._owners = Owners()
        self._sessions: WeakSet[Session] = WeakSet()
        self._kept: set[Holding] = set()
        self._look_at = _FEW
        self._is_on = oparaca.config.auto_commit
        self._interval = oparaca.config.auto_commit_interval
        renew_after_fork(self)
        auto_commit.add_manager(self)

    @property
    def auto_commit(self) -> bool:
        """Whether changes are committed in the background."""
        return self._is_on

    @property
    def auto_commit_interval(self) -> float:
        """Seconds until that happens at most."""
        if self._interval is None:
            return get_settings().FLUSH_INTERVAL.total_seconds()
        return self._interval

    @property
    def counts(self) -> CommitCounts:
        """What became of objects that were committed without anybody waiting, in this process."""
        return auto_commit.counts()

    def get_session(self, partition_id: int | None = None) -> Session:
        """Return the session of this thread or task for a partition; 0 by default."""
        number = DEFAULT_PARTITION if partition_id is None else partition_id
        mine = self._owners.mine()
        session = mine.get(number)
        if session is None or (session.is_closed and not session._unit.is_busy):
            session = mine[number] = Session(self._oparaca, number, scheduler=self)
            with self._lock:
                self._sessions.add(session)
            if len(self._kept) > self._look_at:
                for held in self._kept.copy():
                    held.look()
                self._look_at = max(_FEW, 2 * len(self._kept))
        return session

    def create_object(
        self,
        cls_meta: ClsMeta,
        obj_id: int | None = None,
        local: bool | None = None,
        partition_id: int | None = None,
    ) -> BaseObject:
        """Do as `Session.create_object` in the session of this thread or task."""
        return self.get_session(partition_id).create_object(cls_meta, obj_id, bool(local))

    def load_object(
        self, cls_meta: ClsMeta, obj_id: int, partition_id: int | None = None
    ) -> BaseObject:
        """Do as `Session.load_object` in the session of this thread or task."""
        return self.get_session(partition_id).load_object(cls_meta, obj_id)

    def session_scope(self, partition_id: int | None = None) -> SessionScope:
        """Return a block, for `with` and `async with`, that is committed as one or taken back.

        It gives the session of this thread or task.
        """
        return self.get_session(partition_id).scope()

    def schedule_commit(self, obj: BaseObject) -> None:
        """Have an object looked at, and committed if it is changed, within the interval.

        Whoever changes a field need not call it; it is for a list or the like that was changed
        inside through a variable of one's own. Nothing happens while auto-commit is off.
        """
        obj.session._unit.watch(obj)

    def commit_all(self) -> None:
        """Commit all sessions of the engine, each for itself.

        What is in the middle of a method or a scope of another thread or task is left for later.
        What cannot be committed is logged and counted: `Session.commit` raises instead.
        """
        self._commit_all([*self._owners.mine().values()])

    async def commit_all_async(self) -> None:
        """Do as `commit_all`; other tasks run meanwhile."""
        await uninterrupted(partial(self._commit_all, [*self._owners.mine().values()]))

    def cleanup_session(self, thread_id: int | None = None) -> None:
        """Commit the sessions of a thread, and have it begin with new ones.

        Args:
            thread_id: as `threading.get_ident()` gives it; None means this thread or task. What
                another one has in the middle of a method or a scope is committed when that ends.
        """
        if thread_id is None:
            sessions = [*self._owners.mine().values()]
        else:
            sessions = [session for session in self._all() if session.thread_id == thread_id]
        for session in sessions:
            self._commit(session, is_mine=thread_id is None)
            session.is_closed = True

    def shutdown(self) -> None:
        """Commit everything, and have every thread and task begin with new sessions.

        Harmless twice, and before further use. An orderly exit commits by itself.
        """
        self.commit_all()
        for session in self._all():
            session.is_closed = True

    def enable_auto_commit(self) -> None:
        """Commit changes in the background from now on, also those that were made before."""
        self._is_on = True
        for held in self._kept.copy():
            held.schedule_all()

    def disable_auto_commit(self) -> None:
        """Commit only when asked to; what waits in the buffer at this moment is still written."""
        self._is_on = False

    def set_auto_commit_interval(self, seconds: float) -> None:
        """Commit changes this many seconds after they were made, at most.

        Raises:
            ConfigurationError: it is not a positive number.
        """
        self._interval = checked_interval(seconds)
        auto_commit.reschedule()

    def schedule(self, obj: BaseObject) -> None:
        """Have an object committed soon, if auto-commit is on; for its session."""
        if self._is_on or obj.session.is_closed:
            auto_commit.schedule(obj)
            return
        obj._record.is_queued = False

    def keep(self, holding: Holding) -> None:
        """Hold a session that has something to write; for that session."""
        self._kept.add(holding)

    def release(self, holding: Holding) -> None:
        """Hold it no longer; for that session."""
        self._kept.discard(holding)

    def note_failure(self, kind: str) -> None:
        """Count what could not be committed; for its sessions."""
        auto_commit.note_failure(kind)

    def _all(self) -> Iterable[Session]:
        with self._lock:
            return [*self._sessions]

    def _commit_all(self, mine: list[Session]) -> None:
        for session in self._all():
            self._commit(session, is_mine=session in mine)

    def _commit(self, session: Session, *, is_mine: bool) -> None:
        try:
            if is_mine and not session._unit.has_methods_elsewhere:
                session.commit()
            else:
                session._commit_for_others()
        except Exception as error:
            is_stale = isinstance(error, StaleObjectError)
            auto_commit.note_failure("stale" if is_stale else "failed")
            what = describe(error) if cause_of(error) else f"{type(error).__name__}: {error}"
            logger.error(  # noqa: TRY400 # its traceback could show a password
                "Session %d of thread %d cannot be committed: %s",
                *(session.partition_id, session.thread_id, what),
            )
