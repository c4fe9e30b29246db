"""The admin of stored objects: look at any, delete with permission, write none.

State is written only by a session of objects, which checks the version: a form could overwrite what
a process has committed meanwhile, and no process would know of it.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.db import DEFAULT_DB_ALIAS
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from session_mgmt.admin.pagination import BoundedAdmin
from session_mgmt.models import StoredObject

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

__all__ = ["ClassFilter", "StoredObjectAdmin"]

MOST_CLASSES: Final = 50
MOST_CHARACTERS: Final = 20_000
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")
_FIELDS: Final = (
    "class_name",
    "partition_id",
    "object_id",
    "version",
    "created_at",
    "updated_at",
)


class ClassFilter(admin.SimpleListFilter):
    """Offers the first classes by name; another one can be named in the address."""

    title = _("class")
    parameter_name = "class"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Return the classes that have objects, and the one that is asked for."""
        names = StoredObject.objects.using(model_admin.get_queryset(request).db).class_names(
            MOST_CLASSES + 1
        )
        if len(names) > MOST_CLASSES:
            self.title = _("class (the first only)")
            del names[MOST_CLASSES:]
        if (chosen := self.value()) and chosen not in names:
            names.append(chosen)
        return [(name, name) for name in names]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[StoredObject]
    ) -> QuerySet[StoredObject]:
        """Keep the objects of the class."""
        chosen = self.value()
        if chosen is None:
            return queryset
        # PostgreSQL refuses a text with NUL instead of finding nothing.
        return queryset.none() if "\0" in chosen else queryset.filter(class_name=chosen)


@admin.register(StoredObject)
class StoredObjectAdmin(BoundedAdmin):
    """Shows objects to whoever may view them; nobody adds or changes one here, superusers neither.

    Who has the delete permission may delete. A process that has such an object in memory gets a
    `StaleObjectError` at its next commit of it.

    The order is the index of identity read backwards, for all classes and for one: within a class
    and partition the newest ids come first. A search is answered from the same index, which
    PostgreSQL reads whole before version 18.
    """

    list_display = ("class_name", "partition_id", "object_id", "version", "updated_at")
    list_display_links = ("object_id",)
    list_filter = (ClassFilter,)
    list_defer = ("state",)
    ordering = ("-class_name", "-partition_id", "-object_id")
    search_fields = ("object_id",)
    search_help_text = _("The number of an object, in full.")
    readonly_fields = _FIELDS

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Return False."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filter only; any other column of the address would be searched row by row."""
        return lookup == ClassFilter.parameter_name

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Keep the objects with this id; a text that is none finds nothing."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = queryset.filter(object_id=int(term)) if _NUMBER.fullmatch(term) else queryset.none()
        return found, False

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the columns, and below them the state in the full width of the page."""
        state = {"description": _shown(obj) if isinstance(obj, StoredObject) else "", "fields": ()}
        return [(None, {"fields": _FIELDS}), (_("State"), state)]


def _shown(stored: StoredObject) -> SafeString:
    """Return the state for a person to read, as text that no browser takes for anything else.

    A long one is cut, with its length and the command that prints all of it.
    """
    text = json.dumps(stored.state, indent=2, sort_keys=True, ensure_ascii=False)
    # SQLite may hold half a surrogate pair, which cannot be sent as it is.
    text = text.encode(errors="backslashreplace").decode()
    return format_html(
        '{}<pre tabindex="0" role="region" aria-label="{}">{}</pre>',
        _about_cut(stored, len(text)) if len(text) > MOST_CHARACTERS else "",
        _("State as JSON"),
        text[:MOST_CHARACTERS],
    )


def _about_cut(stored: StoredObject, length: int) -> SafeString:
    return format_html(
        "<p>{}</p>",
        format_html(
            str(_("The first {shown} of {all} characters. All of it: {command}")),
            shown=f"{MOST_CHARACTERS:,}",
            all=f"{length:,}",
            command=format_html("<code>{}</code>", _command(stored)),
        ),
    )


def _command(stored: StoredObject) -> str:
    words = ["manage.py", "show_object", stored.class_name, str(stored.object_id)]
    if stored.partition_id:
        words += ["--partition", str(stored.partition_id)]
    if (alias := stored._state.db or DEFAULT_DB_ALIAS) != DEFAULT_DB_ALIAS:
        words += ["--database", alias]
    return shlex.join(words)
