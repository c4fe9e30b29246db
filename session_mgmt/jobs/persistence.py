"""Write what an attempt must not lose, through a database that comes and goes."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, TypeVar

from django.db import DatabaseError, InterfaceError, connections

from session_mgmt.conf import get_settings
from session_mgmt.db import Fault, classify, run_in_transaction
from session_mgmt.exceptions import CommitOutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["surely"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PAUSE: Final = 0.2
_REPEATABLE: Final = frozenset({Fault.TRANSIENT, Fault.LOST_CONNECTION})


def surely(work: Callable[[], T], using: str) -> T:
    """Run `work` as a transaction, and go on trying for as long as a lease lasts.

    A COMMIT without an answer is repeated too. So `work` must notice that it was done before, which
    the fence of the attempt makes easy: nobody else writes under its number. After the length of a
    lease others may have taken over, and there is no use in trying longer.

    Inside somebody's transaction it is called once.
    """
    deadline = time.monotonic() + get_settings().LEASE.total_seconds()
    while True:
        try:
            return run_in_transaction(work, using=using)
        except (CommitOutcomeUnknownError, DatabaseError, InterfaceError) as error:
            is_unknown = isinstance(error, CommitOutcomeUnknownError)
            is_hopeless = not is_unknown and classify(error) not in _REPEATABLE
            if (
                is_hopeless
                or connections[using].in_atomic_block
                or time.monotonic() + _PAUSE >= deadline
            ):
                raise
            logger.warning("%s: %s; trying again", _name(work), type(error).__name__)
        time.sleep(_PAUSE)


def _name(work: Callable[[], object]) -> str:
    return getattr(work, "__qualname__", type(work).__name__)
