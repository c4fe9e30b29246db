"""Print one stored object."""

from __future__ import annotations

import json
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db.models import F

from session_mgmt.exceptions import ObjectNotFoundError
from session_mgmt.management.loop import NO_DATABASE, away
from session_mgmt.management.options import add_database
from session_mgmt.models import StoredObject

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from session_mgmt.models.stored_object import StoredObjectQuerySet

__all__ = ["Command"]

SHOWN = ("object_id", "version", "created_at", "updated_at", "state")
RENAMED = {"class": F("class_name"), "partition": F("partition_id")}
MOST_NAMES = 1_000


class Command(BaseCommand):
    requires_system_checks = NO_DATABASE
    help = (
        "Print one stored object, as it was committed last, as JSON with sorted keys. "
        "Examples: manage.py show_object default.Counter 42; "
        "manage.py show_object default.Counter 42 --partition 7 | jq .state. "
        "Exit codes: 0 printed, 1 there is none or the database failed, 2 wrong arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("class_name", metavar="CLASS", help="package and name of its class")
        parser.add_argument("object_id", metavar="ID", type=int, help="its number")
        parser.add_argument(
            "--partition", dest="partition_id", metavar="N", type=int, default=0, help="default: 0"
        )
        add_database(parser)

    def handle(self, *, database: str, **options: Any) -> None:  # Any: texts and numbers
        rows = StoredObject.objects.using(database)
        key = {name: options[name] for name in ("class_name", "object_id", "partition_id")}
        try:
            found = rows.filter(**key).values(*SHOWN, **RENAMED).first()
            about = "" if found else about_class(rows, key["class_name"])
        except DatabaseError as error:
            raise CommandError(away(error)) from None
        if found is None:
            raise CommandError(f"{ObjectNotFoundError(**key)}.{about}")
        text = json.dumps(
            found, indent=2, sort_keys=True, ensure_ascii=False, default=datetime.isoformat
        )
        # SQLite may hold half a surrogate pair, which no terminal takes.
        self.stdout.write(text.encode(errors="backslashreplace").decode())


def about_class(rows: StoredObjectQuerySet, class_name: str) -> str:
    if rows.of_class(class_name).exists():
        return ""
    near = get_close_matches(class_name, rows.class_names(MOST_NAMES), cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    return f" There are no objects of the class {class_name}{hint}"
