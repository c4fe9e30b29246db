"""Show on a terminal how much of a long piece of work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

__all__ = ["ProgressBar"]

_WIDTH: Final = 30


class ProgressBar:
    """One line that is drawn anew; nothing where `out` is not a terminal.

    Args:
        out: usually the command's stderr.
        total: what will have been done at the end.
    """

    def __init__(self, out: OutputWrapper, total: int) -> None:
        self._out = out
        self._total = total
        self._done = 0
        self._is_shown = out.isatty() and total > 0

    def advance(self, number: int) -> None:
        """Say that so many more are done."""
        self._done += number
        if self._is_shown:
            full = min(_WIDTH, _WIDTH * self._done // self._total)
            bar = "#" * full + "." * (_WIDTH - full)
            self._out.write(f"\r[{bar}] {self._done:,} of {self._total:,}", ending="")
            self._out.flush()

    def close(self) -> None:
        """End the line."""
        if self._is_shown:
            self._out.write("")
