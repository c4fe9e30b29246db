"""Print how many sessions there are and how old they are, once or again and again."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from session_mgmt.conf import get_settings
from session_mgmt.management.loop import NO_DATABASE, away, repeat, seconds
from session_mgmt.management.options import add_database
from session_mgmt.sessions.stats import performance_stats

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

__all__ = ["Command"]

AGES = {"under_1h": "< 1 h", "1h_to_6h": "1-6 h", "6h_to_24h": "6-24 h", "over_24h": "> 24 h"}
HOURS = {"average age": "average_age", "oldest": "oldest_session", "newest": "newest_session"}
PLAIN, SEPARATE, REDRAWN = "{}\n", "{}\n\n", "\x1b[H\x1b[J{}\n"


class Command(BaseCommand):
    requires_system_checks = NO_DATABASE
    help = (
        "Count the sessions by status and age; ages count from the last renewal. "
        "Examples: manage.py session_stats --json | jq .total_sessions; "
        "manage.py session_stats --watch 5"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on one line")
        parser.add_argument(
            "--watch",
            type=seconds,
            nargs="?",
            const=2.0,
            metavar="SECONDS",
            help="again every SECONDS (default: %(const)s) until SIGTERM or Ctrl-C; exits with 0",
        )
        add_database(parser)

    def handle(self, *, watch: float | None, database: str, **options: object) -> None:
        show = partial(self._show, database, as_json=(as_json := bool(options["json"])))
        if watch is not None:
            frame = PLAIN if as_json else REDRAWN if self.stdout.isatty() else SEPARATE
            repeat(lambda _: show(frame), watch, using=database, complain=self.stderr.write)
            return
        try:
            show(PLAIN)
        except DatabaseError as error:
            raise CommandError(away(error)) from None

    def _show(self, database: str, frame: str, *, as_json: bool) -> None:
        stats = performance_stats(database, get_settings().MAX_SESSIONS)
        text = json.dumps(stats) if as_json else "\n".join(lines(stats))
        self.stdout.write(frame.format(text), ending="")
        self.stdout.flush()


def lines(stats: dict[str, Any]) -> list[str]:  # Any: the seed's dict
    limit = stats["max_capacity"]
    full = "no limit" if limit is None else f"{stats['utilization_percent']:.1f}% of {limit:,}"
    ages = {AGES[name]: number for name, number in stats["age_distribution"].items()}
    counts = {"sessions": stats["total_sessions"], **stats["status_breakdown"], **ages}
    return [
        f"{'capacity':<12}{full:>16}",
        *(f"{name:<12}{number:>16,}" for name, number in counts.items()),
        *(f"{name:<12}{stats[f'{key}_hours']:>14,.2f} h" for name, key in HOURS.items()),
    ]
