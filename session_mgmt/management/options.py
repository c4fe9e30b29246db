"""Options that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, connections

from session_mgmt.management.loop import seconds

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

__all__ = ["add_database", "add_interval"]


def add_database(parser: CommandParser) -> None:
    """Declare `--database`."""
    parser.add_argument(
        "--database",
        default=DEFAULT_DB_ALIAS,
        choices=tuple(connections),
        help="alias (default: %(default)s)",
    )


def add_interval(parser: CommandParser) -> None:
    """Declare `--interval`, for a command that works again and again."""
    parser.add_argument(
        "--interval",
        type=seconds,
        metavar="SECONDS",
        help="keep running, with a pass every SECONDS; stops on SIGTERM and Ctrl-C",
    )
