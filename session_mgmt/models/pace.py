"""How fast steps come and how long the rest of them will take; it knows no session."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

__all__ = ["Pace", "seconds_left"]

_WINDOW_SECONDS: Final = 10.0
_WINDOW_STEPS: Final = 10
_LONGEST: Final = timedelta(days=timedelta.max.days).total_seconds()


class Pace:
    """The rate over the last 10 s and 10 steps, or over a bit more.

    An average since the beginning would not notice that the work has become slower.
    """

    __slots__ = ("_past", "_recent")

    def __init__(self, at: float) -> None:
        self._past = self._recent = (at, 0)

    def measured(self, at: float, count: int) -> float | None:
        """Return steps a second, None until time has passed.

        Args:
            at: the moment of the newest step, in seconds; never smaller than in the call before.
            count: steps so far.
        """
        moment, before = self._recent
        if at - moment >= _WINDOW_SECONDS and count - before >= _WINDOW_STEPS:
            self._past, self._recent = self._recent, (at, count)
        moment, before = self._past
        return (count - before) / (at - moment) if at > moment else None


def seconds_left(current: int, total: int, rate: float | None, waited: float) -> float | None:
    """Return the seconds until all steps are made, None when nobody can know; never negative.

    Args:
        current: steps done.
        total: steps in all, 0 if not known.
        rate: steps a second, None if not known.
        waited: seconds since the newest step.
    """
    if total and current >= total:
        return 0.0
    if not total or not rate:
        return None
    return min(max((total - current) / rate - max(waited, 0.0), 0.0), _LONGEST)
