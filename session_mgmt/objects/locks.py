"""Renew locks in a forked child: whoever held one there is not there to release it."""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol
from weakref import WeakSet

__all__ = ["HasLock", "renew_after_fork"]


class HasLock(Protocol):
    """What has a lock that guards its own data for moments."""

    _lock: threading.RLock


_OWNERS: Final[WeakSet[HasLock]] = WeakSet()


def renew_after_fork(owner: HasLock) -> None:
    """Give `owner` another lock in each child that is forked."""
    _OWNERS.add(owner)


def _renew() -> None:
    for owner in _OWNERS:
        owner._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
