"""Judge the sessions for a monitor, which reads the exit code."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from session_mgmt.conf import get_settings
from session_mgmt.management.loop import NO_DATABASE, away
from session_mgmt.management.options import add_database
from session_mgmt.sessions.stats import health_status

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

__all__ = ["Command"]

EXIT_CODES: Final = {"healthy": 0, "warning": 1, "critical": 2}


class Command(BaseCommand):
    requires_system_checks = NO_DATABASE
    help = (
        "Tell whether the sessions are well, with the exit code 0 for healthy, 1 for warning (70 "
        "percent full, or a session is stuck), 2 for critical (90 percent full, or the database "
        "does not answer). Without MAX_SESSIONS it is never full; cleanup_active tells whether "
        "CLEANUP_INTERVAL is set. "
        "Examples: manage.py session_health > /dev/null || echo 'look after the sessions'; "
        "manage.py session_health --json | jq -r .stuck_sessions"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on one line")
        add_database(parser)

    def handle(self, *, database: str, **options: object) -> None:
        settings = get_settings()
        try:
            health = health_status(
                database,
                settings.MAX_SESSIONS,
                cleanup_active=settings.CLEANUP_INTERVAL is not None,
            )
        except DatabaseError as error:
            raise CommandError(away(error), returncode=EXIT_CODES["critical"]) from None
        if health["overall_health"] == "healthy" and health["stuck_sessions"] != "0":
            health["overall_health"] = "warning"
        if options["json"]:
            self.stdout.write(json.dumps(health))
        else:
            for name, value in health.items():
                self.stdout.write(f"{name.replace('_', ' '):<20}{value:>10}")
        if code := EXIT_CODES[health["overall_health"]]:
            sys.exit(code)
