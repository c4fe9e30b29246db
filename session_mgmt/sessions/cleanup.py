"""Remove sessions by rules, in chunks: constant memory, short locks, nothing that was renewed.

Every chunk is one transaction that finds, locks, checks and removes some of the oldest sessions.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError
from django.utils import timezone

from session_mgmt.conf import get_settings
from session_mgmt.db.unit_of_work import run_in_transaction
from session_mgmt.exceptions import CommitOutcomeUnknownError
from session_mgmt.models import CommitToken
from session_mgmt.sessions.removal import Remaining, Removal, remove_oldest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from session_mgmt.models.session import GenerationSessionQuerySet
    from session_mgmt.sessions.expiry import Rule

__all__ = ["DEFAULT_BATCH_SIZE", "Cleanup", "clean_up", "count_removable", "prune_tokens"]

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE: Final = 1000
_LONG: Final = 0.1
"""A chunk that took longer, in seconds, is followed by one of half the size."""


@dataclass
class Cleanup:
    """What a clean-up did.

    Attributes:
        removed: sessions by the reason of their rule.
        kept: sessions that were due and stay, because somebody writes to what belongs to them or a
            protected row refers to them; they are met again next time, and so are those that
            somebody has locked, which are passed over without being counted.
        stopped: whether it was asked to stop before the end.
    """

    removed: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    stopped: bool = False

    @property
    def total(self) -> int:
        """Return how many sessions were removed."""
        return self.removed.total()


def clean_up(
    rules: Iterable[Rule],
    using: str,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    expired: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[int], None] = lambda _: None,
) -> Cleanup:
    """Remove the sessions that the rules name, the oldest of each status first.

    Outside of a transaction each chunk commits by itself, so that a clean-up that is stopped, or
    killed, has done what it did; and a transient database error repeats its chunk.

    Args:
        rules: see `session_mgmt.sessions.expiry`.
        using: database alias.
        batch_size: sessions in a chunk, at most; it shrinks by itself where they are large.
        expired: whether to send `session_expired` too.
        should_stop: is asked after each chunk.
        report: is told of every chunk, how many sessions it removed.
    """
    result = Cleanup()
    for rule in rules:
        for chunk in _chunks(rule.sessions(using), batch_size, expired=expired):
            result.removed[rule.reason] += chunk.removed
            result.kept += len(chunk.kept)
            report(chunk.removed)
            if should_stop():
                result.stopped = True
                return result
    if result.total:
        logger.info("Cleaned up %d sessions: %s", result.total, dict(+result.removed))
    return result


def count_removable(rules: Iterable[Rule], using: str) -> Counter[str]:
    """Return how many sessions `clean_up` would find, by reason; changes nothing."""
    found = Counter[str]()
    for rule in rules:
        found[rule.reason] += rule.sessions(using).count()
    return found


def prune_tokens(using: str) -> int:
    """Delete the tokens of `run_in_transaction` that nobody will ask for any more."""
    oldest = timezone.now() - get_settings().COMMIT_TOKEN_MAX_AGE
    return CommitToken.objects.using(using).filter(created_at__lt=oldest).delete()[0]


def _chunks(
    sessions: GenerationSessionQuerySet, batch_size: int, *, expired: bool
) -> Iterator[Removal]:
    remaining, size = Remaining(sessions), batch_size
    while True:
        started = time.monotonic()
        chunk = _remove(remaining.sessions, size, expired=expired)
        took = time.monotonic() - started
        yield chunk
        if chunk.is_last:
            return
        remaining.go_on_after(chunk)
        done = chunk.removed + len(chunk.kept)
        size = max(1, done // 2) if took > _LONG else min(batch_size, done * 2)


def _remove(sessions: GenerationSessionQuerySet, size: int, *, expired: bool) -> Removal:
    def remove() -> Removal:
        return remove_oldest(sessions, size, expired=expired)

    while True:
        try:
            return run_in_transaction(remove, using=sessions.db)
        except CommitOutcomeUnknownError:
            # Doing it again is harmless: what is gone is not found.
            logger.warning("A chunk of a clean-up may have been removed without being counted")
        except IntegrityError:  # at COMMIT: Django does not know of the row that refers to one
            if size == 1:
                pk, age_from = sessions.order_by("age_from").values_list("pk", "age_from")[0]
                logger.warning("Session %s stays, a row that Django does not know needs it", pk)
                return Removal(0, [pk], is_last=False, age_from=age_from)
            size //= 2
