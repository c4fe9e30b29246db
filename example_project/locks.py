"""Locks files between processes; the kernel drops a lock when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["exclusive", "share", "try_exclusive"]


def share(file: IO[str]) -> None:
    """Hold `file` together with other sharers until it is closed."""
    fcntl.flock(file, fcntl.LOCK_SH)


def try_exclusive(file: IO[str]) -> bool:
    """Hold `file` alone until it is closed, unless another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def exclusive(path: Path, patience: float) -> Iterator[None]:
    """Hold the file at `path` alone during the block.

    Raises:
        TimeoutError: another process held it for `patience` seconds.
        PermissionError: the file belongs to another user.
    """
    deadline = time.monotonic() + patience
    with path.open("a", encoding="ascii") as file:
        while not try_exclusive(file):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has held {path} for {patience:.0f} s")
            time.sleep(0.05)
        yield
