"""Write what an attempt must not lose, through a database that comes and goes."""

from __future__ import annotations

import logging
import time
from functools import partial
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


def surely(work: Callable[[bool], T], using: str) -> T:
    """Run `work` as a transaction, and go on trying for as long as a lease lasts.

    A COMMIT without an answer is repeated too, and `work` is told by a true argument that it may
    have been done before. The fence of the attempt makes that easy to find out: nobody else writes
    under its number. After the length of a lease others may have taken over, and there is no use in
    trying longer.

    Inside somebody's transaction it is called once.
    """
    deadline = time.monotonic() + get_settings().LEASE.total_seconds()
    is_repeat = False
    while True:
        try:
            return run_in_transaction(partial(work, is_repeat), using=using)
        except (CommitOutcomeUnknownError, DatabaseError, InterfaceError) as error:
            is_unknown = isinstance(error, CommitOutcomeUnknownError)
            is_repeat = is_repeat or is_unknown
            is_hopeless = not is_unknown and classify(error) not in _REPEATABLE
            if (
                is_hopeless
                or connections[using].in_atomic_block
                or time.monotonic() + _PAUSE >= deadline
            ):
                raise
            logger.warning("%s: %s; trying again", work.__qualname__, type(error).__name__)
        time.sleep(_PAUSE)
