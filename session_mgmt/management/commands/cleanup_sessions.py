"""Remove the sessions that have expired, once or again and again."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from session_mgmt.management import cleanup_options
from session_mgmt.management.loop import Stopper, away, repeat
from session_mgmt.management.progress_bar import ProgressBar
from session_mgmt.sessions.capacity import trim
from session_mgmt.sessions.cleanup import Cleanup, clean_up, prune_tokens

if TYPE_CHECKING:
    from collections import Counter

    from django.core.management.base import CommandParser

__all__ = ["Command"]


class Command(BaseCommand):
    help = cleanup_options.HELP

    def add_arguments(self, parser: CommandParser) -> None:
        cleanup_options.add_to(parser)

    def handle(self, *, dry_run: bool, interval: float | None, **options: object) -> None:
        using = str(options["database"])
        if options["all"] and not (options["yes"] or dry_run):
            raise CommandError("--all removes every session: add --yes or --dry-run", returncode=2)
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
        due = cleanup_options.count(options, using).total() if watched else 0
        bar = ProgressBar(self.stderr, due)
        done = clean_up(
            rules,
            using,
            batch_size=int(str(options["batch_size"])),
            expired=not options["all"],
            should_stop=stop.is_set,
            report=bar.advance,
        )
        bar.close()
        limit = cleanup_options.limit(options)
        if limit is not None:
            done.removed["capacity"] += trim(
                limit, using, should_stop=stop.is_set, report=bar.advance
            )
        if not done.stopped:
            prune_tokens(using)
        self._show(done.removed, options, done)

    def _show(
        self, counts: Counter[str], options: dict[str, object], done: Cleanup | None = None
    ) -> None:
        total = counts.total()
        if options["json"]:
            found: dict[str, object] = {"total": total, "by_reason": counts, "dry_run": not done}
            if done:
                found |= {"kept": done.kept, "stopped": done.stopped}
            self.stdout.write(json.dumps(found))
        else:
            verb = "removed" if done else "would be removed"
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.items() if n)
            self.stdout.write(f"{total:,} sessions {verb}" + (f": {reasons}." if reasons else "."))
            if done and done.kept:
                self.stdout.write(f"{done.kept:,} are in use and stay until the next time.")
        self.stdout.flush()
