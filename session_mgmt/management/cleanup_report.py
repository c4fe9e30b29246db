"""Say what `cleanup_sessions` has done, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from session_mgmt.sessions.cleanup import Cleanup

__all__ = ["as_json", "as_text"]


def as_json(counts: Counter[str], done: Cleanup | None) -> str:
    """Return one object on one line; `done` is None after a dry run."""
    found: dict[str, object] = {
        "total": counts.total(),
        "by_reason": counts,
        "dry_run": done is None,
    }
    if done is not None:
        found |= {"kept": done.kept, "stopped": done.stopped}
    return json.dumps(found)


def as_text(counts: Counter[str], done: Cleanup | None) -> str:
    """Return a sentence or two; `done` is None after a dry run."""
    verb = "would be removed" if done is None else "removed"
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in counts.items() if number)
    text = f"{counts.total():,} sessions {verb}" + (f": {reasons}." if reasons else ".")
    if done is not None and done.kept:
        text += f"\n{done.kept:,} are in use and stay until the next time."
    return text
