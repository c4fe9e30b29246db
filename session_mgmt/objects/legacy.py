"""Offer what older sessions did, on the session of the thread or task (seed 000)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.classes import ClsMeta, MetadataRepo
    from session_mgmt.objects.manager import AutoSessionManager
    from session_mgmt.objects.metadata import ObjectMetadata
    from session_mgmt.objects.rpc import Invocation, InvocationResponse, RpcManager
    from session_mgmt.objects.session import Session
    from session_mgmt.objects.stores import Store

__all__ = ["LegacySessionAdapter"]


class LegacySessionAdapter:
    """The session of whoever calls, in one partition.

    It may be made once and used by any thread: each works on its own session.
    """

    def __init__(
        self, auto_session_manager: AutoSessionManager, partition_id: int | None = None
    ) -> None:
        self._manager = auto_session_manager
        self._partition_id = partition_id

    @property
    def _session(self) -> Session:
        return self._manager.get_session(self._partition_id)

    def create_object(
        self, cls_meta: ClsMeta, obj_id: int | None = None, local: bool = False
    ) -> BaseObject:
        """Do as `Session.create_object`."""
        return self._session.create_object(cls_meta, obj_id, local)

    def load_object(self, cls_meta: ClsMeta, obj_id: int) -> BaseObject:
        """Do as `Session.load_object`."""
        return self._session.load_object(cls_meta, obj_id)

    def delete_object(
        self, cls_meta: ClsMeta, obj_id: int, partition_id: int | None = None
    ) -> None:
        """Have an object deleted by the next commit; also in another partition than its own."""
        session = self._session if partition_id is None else self._manager.get_session(partition_id)
        session.delete_object(cls_meta, obj_id)

    def commit(self) -> None:
        """Do as `Session.commit`."""
        self._session.commit()

    async def commit_async(self) -> None:
        """Do as `Session.commit_async`."""
        await self._session.commit_async()

    def invoke_local(self, req: Invocation) -> InvocationResponse:
        """Do as `Session.invoke_local`."""
        return self._session.invoke_local(req)

    async def invoke_local_async(self, req: Invocation) -> InvocationResponse:
        """Do as `Session.invoke_local_async`."""
        return await self._session.invoke_local_async(req)

    obj_rpc = fn_rpc = invoke_local
    obj_rpc_async = fn_rpc_async = invoke_local_async

    @property
    def local_obj_dict(self) -> dict[ObjectMetadata, BaseObject]:
        """The objects in use that were made as local ones."""
        return self._session.local_obj_dict

    @property
    def remote_obj_dict(self) -> dict[ObjectMetadata, BaseObject]:
        """The other objects in use."""
        return self._session.remote_obj_dict

    @property
    def delete_obj_set(self) -> set[ObjectMetadata]:
        """What the next commit deletes."""
        return self._session.delete_obj_set

    @property
    def partition_id(self) -> int:
        """The namespace of its objects."""
        return self._session.partition_id

    @property
    def rpc_manager(self) -> RpcManager:
        """What answers requests."""
        return self._session.rpc_manager

    @property
    def data_manager(self) -> Store:
        """Where objects are kept."""
        return self._session.data_manager

    @property
    def meta_repo(self) -> MetadataRepo:
        """The classes that requests may name."""
        return self._session.meta_repo

    @property
    def local_only(self) -> bool:
        """Whether objects are kept in memory alone."""
        return self._session.local_only
