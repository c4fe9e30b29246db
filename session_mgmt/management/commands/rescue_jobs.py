"""Run `rescue_jobs` once or for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand

from session_mgmt.jobs import rescue_jobs
from session_mgmt.management.loop import NO_DATABASE, repeat
from session_mgmt.management.options import add_database, add_interval

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

__all__ = ["Command"]


class Command(BaseCommand):
    requires_system_checks = NO_DATABASE
    help = (
        "Send jobs again that nobody came for, and take jobs over whose worker died. "
        "Run it every minute, or as a process of its own with --interval. "
        "Example: manage.py rescue_jobs --interval 30"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_interval(parser)
        add_database(parser)

    def handle(self, *, interval: float | None, database: str, **options: object) -> None:
        if interval is None:
            self._pass(database, report_nothing=True)
            return
        repeat(
            lambda _: self._pass(database, report_nothing=False),
            interval,
            using=database,
            complain=self.stderr.write,
        )

    def _pass(self, database: str, *, report_nothing: bool) -> None:
        rescue = rescue_jobs(database)
        if rescue.taken_over or rescue.redispatched or report_nothing:
            self.stdout.write(f"{rescue.taken_over} taken over, {rescue.redispatched} sent again.")
            self.stdout.flush()
