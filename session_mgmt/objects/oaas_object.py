"""Objects that find their session by themselves (seed 000)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

from session_mgmt.exceptions import ConfigurationError
from session_mgmt.objects.base import BaseObject
from session_mgmt.objects.engine import get_global_oaas

if TYPE_CHECKING:
    from collections.abc import Iterable

    from session_mgmt.objects.classes import ClsMeta
    from session_mgmt.objects.session import Session

__all__ = ["OaasObject", "create_object", "load_object"]


class OaasObject(BaseObject):
    """A stateful object; decorate the class with `oaas.service`.

    @oaas.service("Counter")
    class Counter(OaasObject):
        count: int = 0

        @oaas.method
        def increment(self) -> int:
            self.count += 1
            return self.count
    """

    @classmethod
    def create(cls, obj_id: int | None = None, *, partition_id: int | None = None) -> Self:
        """Return a new object with its defaults, in the session of this thread or task.

        It is stored by the next commit, in the background if auto-commit is on. If its id is taken
        in the table, that commit reports a StaleObjectError.

        Args:
            obj_id: 64 bits; None makes one that no other process makes, larger than those before.
            partition_id: the namespace of the id; 0 by default.

        Raises:
            InvalidInputError: the id is no integer of 64 bits, or in use in this session.
        """
        return cast(Self, _session(partition_id).create_object(_registered(cls), obj_id))

    @classmethod
    def load(cls, obj_id: int, *, partition_id: int | None = None) -> Self:
        """Return an object as it is stored now; or with its changes, if it has some here.

        One query.

        Raises:
            ObjectNotFoundError: there is none; in mock mode it is made with its defaults instead.
        """
        return cls.load_many([obj_id], partition_id=partition_id)[0]

    @classmethod
    def load_many(cls, obj_ids: Iterable[int], *, partition_id: int | None = None) -> list[Self]:
        """Do as `load` for many, in the order of their ids; one query for up to 10,000."""
        found = _session(partition_id).load_objects(_registered(cls), obj_ids)
        return cast("list[Self]", found)

    @classmethod
    async def aload(cls, obj_id: int, *, partition_id: int | None = None) -> Self:
        """Do as `load`, from async code."""
        return (await cls.aload_many([obj_id], partition_id=partition_id))[0]

    @classmethod
    async def aload_many(
        cls, obj_ids: Iterable[int], *, partition_id: int | None = None
    ) -> list[Self]:
        """Do as `load_many`, from async code."""
        session, cls_meta = _session(partition_id), _registered(cls)  # of the task, not the thread
        found = await session._in_thread(lambda: session.load_objects(cls_meta, obj_ids))
        return cast("list[Self]", found)


def create_object(
    cls_meta: ClsMeta,
    obj_id: int | None = None,
    local: bool | None = None,
    partition_id: int | None = None,
) -> BaseObject:
    """Do as `AutoSessionManager.create_object` of the engine that everybody uses."""
    return get_global_oaas().manager.create_object(cls_meta, obj_id, local, partition_id)


def load_object(cls_meta: ClsMeta, obj_id: int, partition_id: int | None = None) -> BaseObject:
    """Do as `AutoSessionManager.load_object` of the engine that everybody uses."""
    return get_global_oaas().manager.load_object(cls_meta, obj_id, partition_id)


def _session(partition_id: int | None) -> Session:
    return get_global_oaas().manager.get_session(partition_id)


def _registered(cls: type[BaseObject]) -> ClsMeta:
    cls_meta: ClsMeta | None = cls.__dict__.get("__cls_meta__")
    if cls_meta is None:
        raise ConfigurationError(
            f"{cls.__name__} has no name yet: put @oaas.service above the class"
        )
    return cls_meta
