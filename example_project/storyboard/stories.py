"""The stories that come with the demo, so that a visitor without one can begin at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["Story", "shipped_stories"]

_FOLDER: Final = Path(__file__).parent / "stories"


@dataclass(frozen=True, slots=True)
class Story:
    """A story with its title.

    Attributes:
        slug: the name of its file, fit for a URL.
        title: the first line of the file.
        text: what follows the title.
    """

    slug: str
    title: str
    text: str


@cache
def _read() -> tuple[Story, ...]:
    stories = []
    for path in sorted(_FOLDER.glob("*.txt")):
        title, _, text = path.read_text(encoding="utf-8").partition("\n")
        stories.append(Story(path.stem, title.strip(), text.strip()))
    return tuple(stories)


def shipped_stories() -> list[Story]:
    """Return the stories in the order of their slugs; the files are read once a process."""
    return list(_read())
