"""Make, load and commit the objects of one thread or task, in one partition (seed 000)."""

from __future__ import annotations

import threading
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

from session_mgmt.db.own_connections import own_connections
from session_mgmt.db.uninterrupted import uninterrupted
from session_mgmt.db.witness import in_transaction
from session_mgmt.db.write_behind import flush
from session_mgmt.exceptions import CommitOutcomeUnknownError, FlushError, InvalidInputError
from session_mgmt.objects.commits import write_together
from session_mgmt.objects.ids import new_object_id
from session_mgmt.objects.loading import load_objects
from session_mgmt.objects.metadata import ObjectMetadata, checked_id
from session_mgmt.objects.rpc import RpcManager, respond, respond_async
from session_mgmt.objects.scopes import SessionScope
from session_mgmt.objects.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.classes import ClsMeta
    from session_mgmt.objects.engine import Oparaca
    from session_mgmt.objects.holding import Scheduler
    from session_mgmt.objects.rpc import Invocation, InvocationResponse

__all__ = ["Session"]

T = TypeVar("T")

DEFAULT_PARTITION: Final = 0

_THE_ONLY_ONE: Final = "the only one"


class Session:
    """Objects that are committed together.

    `Oparaca.new_session` gives one that is committed by hand alone; `get_session` gives that of the
    thread or task, whose changes are also committed in the background.

    Attributes:
        partition_id: the namespace of its objects.
        meta_repo: the classes that requests may name.
        thread_id: where it was made.
        is_closed: whether its thread gets another one now; its objects go on as they were.
    """

    def __init__(
        self,
        oparaca: Oparaca,
        partition_id: int | None = None,
        *,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.partition_id = checked_id(
            "partition_id", DEFAULT_PARTITION if partition_id is None else partition_id
        )
        self.meta_repo = oparaca.meta_repo
        self.thread_id = threading.get_ident()
        self.is_closed = False
        self.data_manager = oparaca.store
        self._place = oparaca.store.place(self.partition_id)
        self._unit = Unit(scheduler)

    @property
    def local_only(self) -> bool:
        """Whether objects are kept in memory alone."""
        return not self.data_manager.is_database

    @property
    def rpc_manager(self) -> RpcManager:
        """What answers requests; this session does."""
        return RpcManager(self)

    @property
    def local_obj_dict(self) -> dict[ObjectMetadata, BaseObject]:
        """The objects in use that were made as local ones."""
        return {meta: obj for meta, obj in self._in_use() if obj._record.is_local}

    @property
    def remote_obj_dict(self) -> dict[ObjectMetadata, BaseObject]:
        """The other objects in use; they are in this process too."""
        return {meta: obj for meta, obj in self._in_use() if not obj._record.is_local}

    @property
    def delete_obj_set(self) -> set[ObjectMetadata]:
        """What the next commit deletes."""
        return {meta for meta, obj in self._in_use() if obj._record.is_deleted}

    def create_object(
        self, cls_meta: ClsMeta, obj_id: int | None = None, local: bool = False
    ) -> BaseObject:
        """Return a new object with its defaults; the commit that stores it asks the database first.

        Args:
            cls_meta: its class.
            obj_id: its id; None makes one.
            local: whether to list it among the local ones.

        Raises:
            InvalidInputError: the id is no integer of 64 bits, or is in use in this session.
        """
        number = new_object_id() if obj_id is None else checked_id("obj_id", obj_id)
        meta = ObjectMetadata(cls_meta.cls_id, self.partition_id, number)
        if obj_id is not None and meta in self._unit.objects:
            raise InvalidInputError("obj_id", f"{number} is in use in this session; load it")
        obj = cls_meta.cls(meta, self)
        obj._record.is_local = local
        self._unit.add(obj)
        return obj

    def load_object(self, cls_meta: ClsMeta, obj_id: int) -> BaseObject:
        """Return an object as it is stored; or as it is, if it has changes here. One query.

        Raises:
            ObjectNotFoundError: there is none; in mock mode it is made with its defaults instead.
        """
        return self.load_objects(cls_meta, [obj_id])[0]

    def load_objects(self, cls_meta: ClsMeta, obj_ids: Iterable[int]) -> list[BaseObject]:
        """Do as `load_object` for many, in the order of their ids; one query for 10,000 of them."""
        return load_objects(self, cls_meta, obj_ids)

    def delete_object(
        self, cls_meta: ClsMeta, obj_id: int, partition_id: int | None = None
    ) -> None:
        """Have an object deleted by the next commit; one query.

        Raises:
            InvalidInputError: it is in another partition than this session.
            ObjectNotFoundError: there is none.
        """
        if partition_id not in {None, self.partition_id}:
            raise InvalidInputError("partition_id", f"this session has {self.partition_id} only")
        self.load_object(cls_meta, obj_id).delete()

    def commit(self) -> None:
        """Write what is changed, as one transaction, or as a part of the caller's.

        One statement for each of what is new, changed and deleted. When it returns, and no
        transaction of the caller's is open, everything is stored and stays so after `kill -9`.
        Transient errors of the database are tried again, also a COMMIT without an answer. In a
        scope it makes final what was done so far.

        Raises:
            StaleObjectError: somebody else has changed some of the objects; nothing is written.
            StateTypeError: a value was changed inside to something that cannot be stored.
            CommitOutcomeUnknownError: the database went away during COMMIT and did not come back;
                commit again when it is there, that does nothing twice.
        """
        self._commit()

    async def commit_async(self) -> None:
        """Do as `commit`; other tasks run meanwhile. It ends also if the task is cancelled."""
        await uninterrupted(self.commit)

    def scope(self) -> SessionScope:
        """Return a block that is committed when it ends, and taken back when it fails."""
        return SessionScope(self)

    def invoke_local(self, req: Invocation) -> InvocationResponse:
        """Answer a request by calling the function that it names; errors are answers too."""
        return respond(self, req)

    async def invoke_local_async(self, req: Invocation) -> InvocationResponse:
        """Do as `invoke_local`, for functions of both kinds."""
        return await respond_async(self, req)

    # There is no other machine here, so that a remote call is a local one.
    obj_rpc = fn_rpc = invoke_local
    obj_rpc_async = fn_rpc_async = invoke_local_async

    def _in_use(self) -> list[tuple[ObjectMetadata, BaseObject]]:
        with self._unit.lock:
            return [*self._unit.objects.items()]

    def _commit(self, only: Iterable[BaseObject] | None = None, *, if_idle: bool = False) -> None:
        pending = self._unit.prepare(only, if_idle=if_idle)
        if any(one.change.kind == "delete" and not one.obj._record.is_stored for one in pending):
            if self._transaction != _THE_ONLY_ONE:
                with suppress(FlushError):  # its row may be on the way, and would come after this
                    flush()
            pending = self._unit.prepare(only, if_idle=if_idle)
        if pending:
            batch = write_together(self.data_manager, self._place, pending)
            self._unit.note_batch(batch)

    def _commit_for_others(self) -> None:
        """Commit what is complete, and not as a part of the caller's transaction."""
        transaction = self._transaction
        if transaction == _THE_ONLY_ONE:
            self._unit.schedule_all()  # nobody else can write before it ends
            return
        with own_connections({self._place}) if transaction else nullcontext():
            self._commit(if_idle=True)

    @property
    def _transaction(self) -> str:
        """Whether the caller has a transaction open where the objects are, and of which kind."""
        if not self.data_manager.is_database or not in_transaction(connections[self._place]):
            return ""
        return _THE_ONLY_ONE if connections[self._place].vendor == "sqlite" else "one of many"

    def _leave_scope(self, *, failed: bool) -> None:
        try:
            if not failed and self._unit.depth == 1:
                self._commit()
        except BaseException as error:
            is_unknown = isinstance(error, CommitOutcomeUnknownError)
            self._unit.leave_scope(failed=True, is_unknown=is_unknown)
            raise
        self._unit.leave_scope(failed=failed)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await sync_to_async(function)()
