"""The options of `cleanup_sessions`, and the rules that they make."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Final

from session_mgmt.conf import get_settings
from session_mgmt.exceptions import InvalidInputError
from session_mgmt.management.options import add_database, add_interval
from session_mgmt.sessions.arguments import checked_hours
from session_mgmt.sessions.capacity import excess
from session_mgmt.sessions.cleanup import DEFAULT_BATCH_SIZE, count_removable
from session_mgmt.sessions.expiry import Rule, expiry_rules, rules_for_all
from session_mgmt.states import GenerationStatus

if TYPE_CHECKING:
    from collections import Counter
    from datetime import timedelta

    from django.core.management.base import CommandParser

__all__ = ["HELP", "add_to", "count", "limit", "rules"]

HELP: Final = (
    "Remove the sessions that have expired, with their jobs, scenes, progress and events, and "
    "what is above MAX_SESSIONS where CAPACITY_POLICY is 'evict'. "
    "One that is renewed meanwhile stays. It may be stopped, or killed, at any moment. "
    "Examples: manage.py cleanup_sessions --dry-run; "
    "manage.py cleanup_sessions --interval 3600; "
    "manage.py cleanup_sessions --status failed --failed-after 0. "
    "Exit codes: 0 done or stopped by a signal, 1 the database failed, 2 wrong arguments."
)


def add_to(parser: CommandParser) -> None:
    """Declare the options."""
    for name, setting in (
        ("--max-age-hours", "MAX_AGE"),
        ("--completed-after", "COMPLETED_MAX_AGE"),
        ("--failed-after", "FAILED_MAX_AGE"),
    ):
        parser.add_argument(
            name, type=_hours, metavar="HOURS", help=f"instead of {setting} of the settings"
        )
    parser.add_argument(
        "--status",
        action="append",
        choices=GenerationStatus.values,
        help="only sessions with this status; may be given several times",
    )
    parser.add_argument("--all", action="store_true", help="however young they are; needs --yes")
    parser.add_argument("--yes", action="store_true", help="do not ask, --all is meant")
    parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")
    parser.add_argument(
        "--batch-size",
        type=_batch,
        default=DEFAULT_BATCH_SIZE,
        metavar="N",
        help="sessions in a transaction, at most (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    add_interval(parser)
    add_database(parser)


def rules(options: dict[str, object]) -> list[Rule]:
    """Return what the options say is to be removed, counted from now."""
    statuses = options["status"] or GenerationStatus.values
    chosen = [status for status in GenerationStatus if status.value in statuses]  # type: ignore[operator] # a list of texts
    if options["all"]:
        return rules_for_all(chosen)
    ages: list[timedelta | None] = [
        options[name]  # type: ignore[misc] # _hours made them
        for name in ("max_age_hours", "completed_after", "failed_after")
    ]
    return [rule for rule in expiry_rules(*ages) if rule.status in chosen]


def limit(options: dict[str, object]) -> int | None:
    """Return how many sessions may stay, None for any number."""
    limits = get_settings()
    chosen = options["all"] or options["status"] or limits.CAPACITY_POLICY != "evict"
    return None if chosen else limits.MAX_SESSIONS


def count(options: dict[str, object], using: str) -> Counter[str]:
    """Return how many sessions would be removed, by reason."""
    found = count_removable(rules(options), using)
    if (most := limit(options)) is not None:
        found["capacity"] = max(0, excess(most, using) - found.total())
    return found


def _hours(text: str) -> timedelta:
    try:
        return checked_hours("HOURS", float(text))
    except (ValueError, InvalidInputError):
        raise ArgumentTypeError(f"{text!r} is not a number of hours, 0 or more") from None


def _batch(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 100_000:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100000")
    return number
