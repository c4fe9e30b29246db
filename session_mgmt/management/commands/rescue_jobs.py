"""Run `rescue_jobs` once or for ever."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand

from session_mgmt.jobs import rescue_jobs
from session_mgmt.management.loop import NO_DATABASE, repeat
from session_mgmt.management.options import add_database, add_interval

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from session_mgmt.jobs.rescue import Rescue

__all__ = ["Command"]


class Command(BaseCommand):
    requires_system_checks = NO_DATABASE
    help = (
        "Send jobs again that nobody came for, and take jobs over whose worker died. "
        "Run it every minute, or as a process of its own with --interval. "
        "Examples: manage.py rescue_jobs --interval 30; manage.py rescue_jobs --dry-run --json"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")
        parser.add_argument("--json", action="store_true", help="one JSON object on one line")
        add_interval(parser)
        add_database(parser)

    def handle(
        self,
        *,
        interval: float | None,
        database: str,
        dry_run: bool,
        json: bool,
        **options: object,
    ) -> None:
        def one_pass(*, report_nothing: bool) -> None:
            rescue = rescue_jobs(database, dry_run=dry_run)
            if rescue.taken_over or rescue.redispatched or report_nothing:
                self.stdout.write(_as_json(rescue, dry_run) if json else _as_text(rescue, dry_run))
                self.stdout.flush()

        if interval is None:
            one_pass(report_nothing=True)
            return
        repeat(
            lambda _: one_pass(report_nothing=False),
            interval,
            using=database,
            complain=self.stderr.write,
        )


def _as_json(rescue: Rescue, dry_run: bool) -> str:
    return dumps({"dry_run": dry_run, **asdict(rescue)})


def _as_text(rescue: Rescue, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    return f"{rescue.taken_over} {would}taken over, {rescue.redispatched} {would}sent again."
