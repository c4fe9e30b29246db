"""The work of every job of the benchmark: note which job was run, and when."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

__all__ = ["clear", "read", "tick"]


def tick(key: str) -> None:
    """Add a line to the file; one short write in append mode is whole, whoever else writes."""
    os.write(_file(), f"{key} {time.time()}\n".encode())


@cache
def _file() -> int:
    return os.open(os.environ["BENCHMARK_TICKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def read() -> list[tuple[str, float]]:
    """Return keys and times, in the order in which they were noted."""
    path = Path(os.environ["BENCHMARK_TICKS"])
    if not path.exists():
        return []
    words = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    return [(key, float(moment)) for key, moment in words]


def clear() -> None:
    """Forget everything; no worker may be running."""
    Path(os.environ["BENCHMARK_TICKS"]).unlink(missing_ok=True)
