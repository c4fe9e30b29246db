"""Read objects into a session, without losing what is changed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from session_mgmt.exceptions import ObjectNotFoundError
from session_mgmt.objects.metadata import ObjectMetadata, checked_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.classes import ClsMeta
    from session_mgmt.objects.record import Row
    from session_mgmt.objects.session import Session

__all__ = ["load_objects", "refresh"]


def load_objects(session: Session, cls_meta: ClsMeta, obj_ids: Iterable[int]) -> list[BaseObject]:
    """Return objects in the order of their ids; one query for those that have no changes."""
    numbers = [checked_id("obj_id", number) for number in obj_ids]
    metas = [ObjectMetadata(cls_meta.cls_id, session.partition_id, number) for number in numbers]
    kept = {meta: obj for meta in metas if (obj := _changed(session, meta)) is not None}
    rows = _read(
        session, cls_meta.cls_id, list({meta.object_id for meta in metas if meta not in kept})
    )
    for meta in metas:
        if meta not in kept:
            kept[meta] = _loaded(session, cls_meta, meta, rows.get(meta.object_id))
    return [kept[meta] for meta in metas]


def refresh(session: Session, objects: Iterable[BaseObject]) -> None:
    """Make objects what is stored; one query for each class.

    Raises:
        ObjectNotFoundError: one of them does not exist, or no longer.
    """
    by_class: dict[str, list[BaseObject]] = {}
    for obj in objects:
        by_class.setdefault(obj.meta.cls_id, []).append(obj)
    for cls_id, group in by_class.items():
        rows = _read(session, cls_id, [obj.object_id for obj in group])
        for obj in group:
            _replace(session, obj, rows.get(obj.object_id))


def _replace(session: Session, obj: BaseObject, row: Row | None) -> None:
    unit, record = session._unit, obj._record
    with unit.lock:
        if unit.objects.get(record.meta, obj) is not obj:
            row = None  # it was deleted, and another object has its id now
        if row is None:
            record.is_gone = True
        else:
            record.replace(row)
            unit.objects[record.meta] = obj
        unit.refreshed(obj)
    if row is None:
        cls_id, partition_id, object_id = record.meta
        raise ObjectNotFoundError(cls_id, object_id, partition_id)


def _changed(session: Session, meta: ObjectMetadata) -> BaseObject | None:
    """Return an object that has changes, which reading it again would lose."""
    unit = session._unit
    obj = unit.objects.get(meta)
    if obj is None:
        return None
    with unit.lock:
        unit.look_for_void(obj)
        if obj._record.is_stale:
            return None
        if obj._record.is_deleted:
            raise ObjectNotFoundError(meta.cls_id, meta.object_id, meta.partition_id)
        return obj if obj._record.has_changes else None


def _loaded(
    session: Session, cls_meta: ClsMeta, meta: ObjectMetadata, row: Row | None
) -> BaseObject:
    if row is None and not session.local_only:
        raise ObjectNotFoundError(meta.cls_id, meta.object_id, meta.partition_id)
    unit = session._unit
    with unit.lock:
        obj = unit.objects.get(meta)
        if obj is None:
            obj = unit.objects[meta] = cls_meta.cls(meta, session)
        if row is None:
            obj._record.is_dirty = False  # what nobody changes is not stored
        else:
            obj._record.replace(row)
        unit.refreshed(obj)
    return obj


def _read(session: Session, cls_id: str, obj_ids: Sequence[int]) -> dict[int, Row]:
    if not obj_ids:
        return {}
    return session.data_manager.read(cls_id, session.partition_id, obj_ids)
