"""Set a scene's number, title and opening words in Source Serif, and know what it cannot set."""

# ruff: noqa: RUF001 # a dash is a dash
from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import font_source_serif_pro  # type: ignore[import-untyped] # a folder of fonts, nothing to type
from PIL import ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL import Image

    from example_project.storyboard.art.palette import Colour

__all__ = ["Face", "TextBox", "drawable_part", "fitted", "set_lines", "text_width", "undrawable"]

_FOLDER: Final = Path(font_source_serif_pro.font_directory)
_ELLIPSIS: Final = "…"
# A character that no font has: what is drawn for it is drawn for all that are missing.
_MISSING: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Face:
    """A weight and a size of the typeface."""

    weight: str
    size: int


@dataclass(frozen=True, slots=True)
class TextBox:
    """Where lines go: the left edge (or the middle, if centred), the top, and the width."""

    x: int
    y: int
    width: int
    centred: bool = False


@lru_cache(maxsize=32)
def _font(face: Face) -> ImageFont.FreeTypeFont:
    path = _FOLDER / f"SourceSerifPro-{face.weight}.otf"
    # The basic engine is in every build of Pillow, so a panel looks the same everywhere.
    return ImageFont.truetype(path, face.size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _missing_glyph() -> tuple[tuple[int, int], bytes]:
    return _glyph(_MISSING)


def _glyph(character: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(Face("Regular", 24)).getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=8192)
def _is_drawable(character: str) -> bool:
    return _glyph(character) != _missing_glyph()


def undrawable(text: str) -> str:
    """Return the distinct letters of `text` that the font lacks, in order of appearance.

    Only letters count (Unicode categories L*): a symbol can be left out, a letter cannot.
    """
    letters = (char for char in dict.fromkeys(text) if unicodedata.category(char)[0] == "L")
    return "".join(char for char in letters if not _is_drawable(char))


def drawable_part(text: str) -> str:
    """Return `text` on one line and without what the font lacks, such as emoji."""
    kept: list[str] = []
    for char in unicodedata.normalize("NFC", " ".join(text.split())):
        if unicodedata.category(char)[0] == "C":
            continue
        parts = (char,) if _is_drawable(char) else unicodedata.normalize("NFD", char)
        kept.extend(part for part in parts if _is_drawable(part))
    return " ".join("".join(kept).split())


def text_width(text: str, face: Face) -> float:
    """Return how wide a line of text is, in pixels."""
    return _font(face).getlength(text)


def fitted(text: str, face: Face, width: int, max_lines: int) -> list[str]:
    """Return `text` as lines no wider than `width`; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    # Nothing beyond this can fit, and a story of one long word must not be measured whole.
    left = drawable_part(text[: max_lines * width])
    while left and len(lines) < max_lines:
        taken = _taken(left, face, width)
        lines.append(left[:taken].rstrip())
        left = left[taken:].lstrip()
    if lines and (left or len(text) > max_lines * width):
        lines[-1] = _with_ellipsis(lines[-1], face, width)
    return lines


def _taken(text: str, face: Face, width: int) -> int:
    """Return how many characters of `text` fit, at a word's end if there is one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle], face) <= width:
            low = middle
        else:
            high = middle - 1
    if low == len(text):
        return low
    space = text.rfind(" ", 0, low + 1)
    return space if space > 0 else low


def _with_ellipsis(line: str, face: Face, width: int) -> str:
    while line and text_width(line + _ELLIPSIS, face) > width:
        shorter = line.rpartition(" ")[0]
        line = shorter or line[:-1]
    return line.rstrip(" ,;:.—–-") + _ELLIPSIS


def set_lines(
    picture: Image.Image,
    box: TextBox,
    lines: list[str],
    face: Face,
    *,
    tone: Colour,
    leading: float,
) -> int:
    """Write the lines and return the height below the last one."""
    draw = ImageDraw.Draw(picture)
    step = round(face.size * leading)
    for number, line in enumerate(lines):
        x = box.x - text_width(line, face) / 2 if box.centred else box.x
        draw.text((x, box.y + number * step), line, font=_font(face), fill=tone, anchor="la")
    return box.y + len(lines) * step
