"""Bring classes, their objects' store and sessions together (seed 000)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from session_mgmt.objects.classes import ClsMeta, MetadataRepo
from session_mgmt.objects.config import OaasConfig
from session_mgmt.objects.manager import AutoSessionManager
from session_mgmt.objects.session import Session
from session_mgmt.objects.stores import DatabaseStore, MemoryStore

if TYPE_CHECKING:
    from session_mgmt.objects.stores import Store

__all__ = ["Oparaca", "configure_oaas", "get_global_oaas"]


class Oparaca:
    """An engine: classes by their names, a store for their objects, a session for each thread.

    Attributes:
        default_pkg: the package of classes that name none.
        config: as it was given.
        meta_repo: the classes.
        store: where their objects are.
        manager: its sessions.
    """

    def __init__(
        self,
        default_pkg: str = "default",
        config: OaasConfig | None = None,
        mock_mode: bool = False,
    ) -> None:
        self.default_pkg = default_pkg
        self.meta_repo = MetadataRepo()
        config = config or OaasConfig()
        self._begin(replace(config, mock_mode=True) if mock_mode else config)

    def configure(self, config: OaasConfig) -> None:
        """Commit what is pending, and go on by another configuration; its classes stay.

        In mock mode it goes on with nothing in memory.
        """
        self.manager.shutdown()
        self._begin(config)

    def new_cls(self, name: str | None = None, pkg: str | None = None) -> ClsMeta:
        """Return a decorator that registers a class; its own name is the default."""
        return ClsMeta(name, pkg or self.default_pkg, self.meta_repo.add_cls)

    def new_session(self, partition_id: int | None = None) -> Session:
        """Return a session that is committed by hand alone."""
        return Session(self, partition_id)

    def _begin(self, config: OaasConfig) -> None:
        self.config = config
        self.store: Store = MemoryStore() if config.mock_mode else DatabaseStore()
        self.manager = AutoSessionManager(self)


_GLOBAL: Final = Oparaca()


def get_global_oaas() -> Oparaca:
    """Return the engine that `oaas`, `OaasObject` and `OaasService` use."""
    return _GLOBAL


def configure_oaas(config: OaasConfig) -> None:
    """Configure the engine that everybody uses, best in an app's `ready()`.

    What is pending is committed before that, to where it belongs.
    """
    _GLOBAL.configure(config)
