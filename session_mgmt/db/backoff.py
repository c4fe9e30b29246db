"""Decide whether and when work is tried again, and say so in the log (seed 002)."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import connections

from session_mgmt.conf import get_settings
from session_mgmt.db.errors import Fault, classify, describe
from session_mgmt.db.witness import in_transaction
from session_mgmt.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Attempts", "Backoff", "drop_dead_connections", "was_given_up"]

logger = logging.getLogger("session_mgmt.db.retry")

_GIVEN_UP: Final = "_session_mgmt_given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often and how fast; None means what the settings say.

    Attributes:
        max_retries: repetitions after the first attempt; 0 never repeats.
        initial_delay: seconds before the first repetition.
        max_delay: seconds, the longest wait; never more than the setting RETRY_MAX_DELAY.
        backoff: by how much each wait is longer than the one before.
        budget: seconds; no repetition starts later than this after the first attempt began.
    """

    max_retries: int | None = None
    initial_delay: float | None = None
    max_delay: float | None = None
    backoff: float | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_retries", "initial_delay", "max_delay", "backoff", "budget"):
            value, least = getattr(self, name), int(name == "backoff")
            if value is not None and not value >= least:
                raise ConfigurationError(f"{name} must be {least} or more, not {value!r}")

    def retries(self) -> int:
        """Return how many repetitions there may be."""
        return get_settings().RETRY_MAX_RETRIES if self.max_retries is None else self.max_retries

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before each repetition that may be made."""
        settings = get_settings()
        ceiling = settings.RETRY_MAX_DELAY.total_seconds()
        if self.max_delay is not None:
            ceiling = min(ceiling, self.max_delay)
        delay = self.initial_delay
        if delay is None:
            delay = settings.RETRY_INITIAL_DELAY.total_seconds()
        for _ in range(self.retries()):
            yield min(delay, ceiling)
            delay = min(delay * (self.backoff or settings.RETRY_MULTIPLIER), ceiling)

    def deadline(self) -> float:
        """Return until when, on the monotonic clock, a repetition may start."""
        budget = self.budget
        if budget is None:
            budget = get_settings().RETRY_BUDGET.total_seconds()
        return time.monotonic() + budget


def was_given_up(error: BaseException) -> bool:
    """Tell whether somebody inside has tried this in vain, so that nobody outside does."""
    return getattr(error, _GIVEN_UP, False)


class Attempts:
    """Count the attempts at one piece of work.

    Args:
        name: of the work, for the log.
        backoff: how often and how fast.
    """

    def __init__(self, name: str, backoff: Backoff) -> None:
        self._name = name
        self._waits = backoff.waits()
        self._deadline = backoff.deadline()
        self._allowed = backoff.retries() + 1
        self._made = 0

    def wait_after(self, error: BaseException) -> float | None:
        """Note that an attempt ended so; return the seconds to wait, or None for the last one."""
        self._made += 1
        wait = next(self._waits, None)
        if wait is None or time.monotonic() + wait > self._deadline:
            if self._allowed > 1:
                setattr(error, _GIVEN_UP, True)
                error.add_note(f"{self._name} was given up after {self._made} attempts.")
            return None
        logger.warning(
            "Transient database error in %s (attempt %d/%d): %s. Retrying in %.2fs...",
            self._name,
            self._made,
            self._allowed,
            describe(error),
            wait,
        )
        return wait


def drop_dead_connections(error: BaseException) -> None:
    """Make room for good connections after one was lost; nothing is done after other errors.

    After a restart of the server every pooled connection is dead, and each repetition would meet
    the next one; so the pool looks through all that it holds.
    """
    if classify(error) not in {Fault.LOST_CONNECTION, Fault.AMBIGUOUS_COMMIT}:
        return
    for connection in connections.all(initialized_only=True):
        if in_transaction(connection):
            continue
        pool = getattr(connection, "pool", None) if connection.vendor == "postgresql" else None
        if connection.errors_occurred or (pool is not None and not _is_alive(connection)):
            connection.close()
        if pool is not None and not pool.closed:
            pool.check()


def _is_alive(connection: BaseDatabaseWrapper) -> bool:
    # Leaving an atomic block, Django fetches the pool's next connection without a look at it.
    driver = connection.connection
    if driver is None:
        return True
    with suppress(Exception):  # the driver's, which is not imported for everybody
        driver.execute("")
        return True
    return False
