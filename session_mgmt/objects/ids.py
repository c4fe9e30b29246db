"""Make numbers that no other process makes: ids of objects, and of who writes them."""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import Final

__all__ = ["MAX_ID", "MIN_ID", "epoch", "new_object_id"]

MIN_ID: Final = -(2**63)
MAX_ID: Final = 2**63 - 1

_PROCESS_BITS: Final = 20
_SEQUENCE_BITS: Final = 10
_TICKS_PER_SECOND: Final = 4
_BEGINNING: Final = 1_735_689_600  # 2025 began then; 33 bits of quarter seconds last 68 years


class _Ids:
    """Time in quarter seconds, a random number of the process, a sequence: 33, 20 and 10 bits.

    Numbers of one process grow strictly: when the sequence of a quarter second is used up, or the
    clock is set back, it goes on as if the time had come. Across processes they are in the order of
    their quarter seconds. Two processes that drew the same number, one chance in a million for each
    pair, could make the same id within one quarter second; the table's unique key would refuse the
    second object then.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Draw a process number; a forked child must not go on with its parent's."""
        self.lock = threading.Lock()
        self.process = secrets.randbits(_PROCESS_BITS)
        self.newest = 0
        self.epoch = object()

    def next(self) -> int:
        """Return the next number."""
        tick = int((time.time() - _BEGINNING) * _TICKS_PER_SECOND)
        with self.lock:
            # The process's number is left out here, so that a full sequence carries into the time.
            self.newest = max(self.newest + 1, tick << _SEQUENCE_BITS)
            tick, sequence = divmod(self.newest, 1 << _SEQUENCE_BITS)
        return (((tick << _PROCESS_BITS) | self.process) << _SEQUENCE_BITS) | sequence


_IDS: Final = _Ids()


def new_object_id() -> int:
    """Return a positive number of 63 bits, greater than those that this process got before."""
    return _IDS.next()


def epoch() -> object:
    """Return what stands for this process, and for no child that it forks."""
    return _IDS.epoch


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_IDS.begin)
