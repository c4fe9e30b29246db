"""Remove the sessions that have expired, once or again and again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from session_mgmt.management import cleanup_options
from session_mgmt.management.cleanup_report import as_json, as_text
from session_mgmt.management.loop import NO_DATABASE, Stopper, away, repeat
from session_mgmt.management.progress_bar import ProgressBar
from session_mgmt.sessions.capacity import trim
from session_mgmt.sessions.cleanup import Cleanup, clean_up, prune_tokens

if TYPE_CHECKING:
    from collections import Counter

    from django.core.management.base import CommandParser

__all__ = ["Command"]


class Command(BaseCommand):
    requires_system_checks = NO_DATABASE
    help = cleanup_options.HELP

    def add_arguments(self, parser: CommandParser) -> None:
        cleanup_options.add_to(parser)

    def handle(self, *, dry_run: bool, interval: float | None, **options: object) -> None:
        using = str(options["database"])
        if options["all"] and not (options["yes"] or dry_run):
            raise CommandError("--all removes all: add --yes or --dry-run", returncode=2)
        clean = partial(self._clean, options, using)
        try:
            if dry_run:
                self._show(cleanup_options.count(options, using), options)
            elif interval is None:
                with Stopper() as stop:
                    clean(stop)
            else:
                repeat(clean, interval, using=using, complain=self.stderr.write)
        except DatabaseError as error:
            raise CommandError(away(error)) from None

    def _clean(self, options: dict[str, object], using: str, stop: Stopper) -> None:
        rules = cleanup_options.rules(options)
        watched = self.stderr.isatty() and not options["json"]
        bar = ProgressBar(
            self.stderr, cleanup_options.count(options, using).total() if watched else 0
        )
        done = clean_up(
            rules,
            using,
            batch_size=int(str(options["batch_size"])),
            expired=not options["all"],
            should_stop=stop.is_set,
            report=bar.advance,
        )
        if (most := cleanup_options.limit(options)) is not None:
            done.removed["capacity"] += trim(
                most, using, should_stop=stop.is_set, report=bar.advance
            )
            done.stopped = stop.is_set()
        bar.close()
        if not done.stopped:
            prune_tokens(using)
        self._show(done.removed, options, done)

    def _show(
        self, counts: Counter[str], options: dict[str, object], done: Cleanup | None = None
    ) -> None:
        write = as_json if options["json"] else as_text
        self.stdout.write(write(counts, done))
        self.stdout.flush()
