"""What users import: `oaas` and the switches of the engine that everybody uses (seed 000)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from session_mgmt.objects.engine import configure_oaas, get_global_oaas
from session_mgmt.objects.legacy import LegacySessionAdapter
from session_mgmt.objects.methods import method

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.scopes import SessionScope
    from session_mgmt.objects.session import Session

__all__ = [
    "OaasService",
    "disable_auto_commit",
    "enable_auto_commit",
    "new_session",
    "oaas",
    "set_auto_commit_interval",
]

C = TypeVar("C", bound="type[BaseObject]")


class OaasService:
    """The engine that everybody uses, as one name; `oaas` is an instance of it."""

    method = staticmethod(method)
    configure = staticmethod(configure_oaas)

    @staticmethod
    def service(name: str | None = None, package: str = "default") -> Callable[[C], C]:
        """Give a class the name by which its objects are stored and requests find it.

        Args:
            name: the class's own by default. Rows are found by it: to rename it is to move them.
            package: keeps equal names of different apps apart.

        Raises:
            ConfigurationError: another class has the name, or it cannot be stored.
        """
        return get_global_oaas().new_cls(name, package)

    @staticmethod
    def get_session(partition_id: int | None = None) -> Session:
        """Return the session of this thread or task."""
        return get_global_oaas().manager.get_session(partition_id)

    @staticmethod
    def session_scope(partition_id: int | None = None) -> SessionScope:
        """Return a block, for `with` and `async with`, that is committed as one or taken back."""
        return get_global_oaas().manager.session_scope(partition_id)

    @staticmethod
    def commit_all() -> None:
        """Commit all sessions, each for itself; what cannot be committed is logged and counted."""
        get_global_oaas().manager.commit_all()

    @staticmethod
    async def commit_all_async() -> None:
        """Do as `commit_all`; other tasks run meanwhile."""
        await get_global_oaas().manager.commit_all_async()

    @staticmethod
    def cleanup_session(thread_id: int | None = None) -> None:
        """Commit the sessions of a thread, this one by default, and have it begin with new ones."""
        get_global_oaas().manager.cleanup_session(thread_id)

    @staticmethod
    def shutdown() -> None:
        """Commit everything and have every thread begin with a new session; harmless twice."""
        get_global_oaas().manager.shutdown()


oaas: Final = OaasService()


def new_session(partition_id: int | None = None) -> LegacySessionAdapter:
    """Return an object with the API of older sessions; its work is auto-managed underneath."""
    return LegacySessionAdapter(get_global_oaas().manager, partition_id)


def enable_auto_commit() -> None:
    """Commit changes in the background from now on, also those that were made before."""
    get_global_oaas().manager.enable_auto_commit()


def disable_auto_commit() -> None:
    """Commit only when asked to."""
    get_global_oaas().manager.disable_auto_commit()


def set_auto_commit_interval(seconds: float) -> None:
    """Commit changes this many seconds after they were made, at most.

    Raises:
        ConfigurationError: it is not a positive number.
    """
    get_global_oaas().manager.set_auto_commit_interval(seconds)
