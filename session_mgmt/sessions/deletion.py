"""Delete rows of sessions and what belongs to them: by the database alone where that will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections
from django.db.models.deletion import Collector
from django.db.models.signals import post_delete, pre_delete

from session_mgmt.models import GenerationSession, Job, JobStep, Progress, Scene, SessionEvent
from session_mgmt.signals import session_expired, session_removed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.db.models import Model

    from session_mgmt.models.session import GenerationSessionQuerySet

__all__ = ["delete_oldest", "delete_with_all", "is_listened_to", "is_plain_deletion"]


def is_listened_to() -> bool:
    """Tell whether somebody wants to know which sessions are removed."""
    signals = (session_expired, session_removed)
    return any(signal.has_listeners(GenerationSession) for signal in signals)


def is_plain_deletion(using: str) -> bool:
    """Tell whether nobody but the database need know what is deleted.

    On PostgreSQL the foreign keys of this app cascade (migrations 0003 and 0005). A model of the
    project that refers to a session, or to what belongs to it, and a receiver of signals, need
    Django.
    """
    if connections[using].vendor != "postgresql" or is_listened_to():
        return False
    own = {GenerationSession, Job, JobStep, Progress, Scene, SessionEvent}
    others = {
        field.related_model
        for model in own
        for field in model._meta.get_fields(include_hidden=True)
        if (field.auto_created and not field.concrete) or field in model._meta.private_fields
    } - own
    return not others and not any(_listens(model) for model in own)


def _listens(model: type[Model]) -> bool:
    return pre_delete.has_listeners(model) or post_delete.has_listeners(model)


def delete_oldest(sessions: GenerationSessionQuerySet, limit: int) -> list[datetime]:
    """Lock, check and delete at most `limit` sessions in one statement; return their `age_from`.

    For a plain deletion. The ARRAY makes PostgreSQL look for them once, whatever plan it chooses.
    """
    locked = sessions.order_by("age_from").select_for_update(skip_locked=True).values("pk")[:limit]
    ids, params = locked.query.get_compiler(sessions.db).as_sql()
    connection = connections[sessions.db]
    table = connection.ops.quote_name(GenerationSession._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE id = ANY(ARRAY({ids})) RETURNING age_from",  # noqa: S608
            params,
        )
        return [age_from for (age_from,) in cursor.fetchall()]


def delete_with_all(ids: list[UUID], using: str) -> None:
    """Delete sessions that the caller has locked, and what refers to them as `on_delete` says.

    Raises:
        ProtectedError, RestrictedError: a row of the project's own keeps one of them.
    """
    if _listens(GenerationSession):
        rows = list(GenerationSession.objects.using(using).filter(pk__in=ids))
    else:
        rows = [GenerationSession(pk=pk) for pk in ids]  # Django reads none of the rows then
    collector = Collector(using=using)
    collector.collect(rows)
    collector.delete()
