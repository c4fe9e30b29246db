"""Rows that hold the state of the objects of `session_mgmt.objects` (seed 000)."""

from __future__ import annotations

from typing import Final, Self

from django.db import connections, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

__all__ = ["MAX_CLASS_NAME", "StoredObject", "StoredObjectQuerySet"]

MAX_CLASS_NAME: Final = 200


class StoredObjectQuerySet(models.QuerySet["StoredObject"]):
    """Find objects by what they are; whoever writes them goes through a session of theirs."""

    def of_class(self, class_name: str) -> Self:
        """Keep the objects of one class, for example "default.Counter"."""
        return self.filter(class_name=class_name)

    def class_names(self, most: int) -> list[str]:
        """Return the first names of classes in the table: a step along its index for each; a query.

        A DISTINCT would read the whole index.
        """
        table = connections[self.db].ops.quote_name(self.model._meta.db_table)
        with connections[self.db].cursor() as cursor:
            cursor.execute(
                f"""
                WITH RECURSIVE found(class_name, number) AS (
                    SELECT (SELECT MIN(class_name) FROM {table}), 1
                    UNION ALL
                    SELECT (SELECT MIN(o.class_name) FROM {table} o
                        WHERE o.class_name > found.class_name), number + 1
                    FROM found WHERE found.class_name IS NOT NULL AND number < %s
                )
                SELECT class_name FROM found WHERE class_name IS NOT NULL ORDER BY number
                """,  # noqa: S608 # a table's name
                [most],
            )
            return [name for (name,) in cursor.fetchall()]


class StoredObject(models.Model):
    """One object as it was committed last.

    Attributes:
        class_name: package and name of its class, "default.Counter".
        partition_id: namespace of its id.
        object_id: unique in its class and partition; from -2^63 to 2^63 - 1.
        state: its fields by name, as JSON; also those that the class no longer has.
        version: grows with each commit, not always by one.
        writer: which copy in some process's memory wrote it last. Together with `version` it tells
            a change by somebody else from one's own whose COMMIT was not answered.
        created_at: when it was first committed.
        updated_at: when it was last committed.
    """

    class_name = models.CharField(_("class"), max_length=MAX_CLASS_NAME)
    partition_id = models.BigIntegerField(_("partition"), default=0)
    object_id = models.BigIntegerField(_("object"))
    state = models.JSONField(_("state"), default=dict)
    version = models.BigIntegerField(_("version"), default=1)
    writer = models.BigIntegerField(_("writer"), default=0, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    objects = StoredObjectQuerySet.as_manager()

    class Meta:
        verbose_name = _("stored object")
        verbose_name_plural = _("stored objects")
        constraints = [
            models.UniqueConstraint(
                fields=["class_name", "partition_id", "object_id"], name="stored_object_identity"
            )
        ]

    def __str__(self) -> str:
        return f"{self.class_name} {self.object_id}"
