"""Cut shapes to lay colour through, smooth at their edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from PIL import Image, ImageChops, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Box", "Point", "Spot", "Stencil", "block"]

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[int, int, int, int]

_SCALE: Final = 2  # shapes are drawn this much larger, then averaged: smooth edges


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a thing stands and how large it is, so that its shape can be written once.

    Attributes:
        x: its middle, in pixels.
        base: what it stands on, in pixels.
        size: its height or length, in pixels.
        face: 1, or -1 to mirror it.
    """

    x: float
    base: float
    size: float
    face: int = 1

    def at(self, dx: float, dy: float) -> Point:
        """Return the pixel that is `dx` sizes ahead and `dy` sizes up."""
        return self.x + self.face * dx * self.size, self.base - dy * self.size

    def box(self, wide: float, tall: float, deep: float = 0.1) -> tuple[float, float, float, float]:
        """Return the box that reaches so many sizes to the sides, up and down."""
        half = wide * self.size
        return (
            self.x - half,
            self.base - tall * self.size,
            self.x + half,
            self.base + deep * self.size,
        )


def block(left: float, low: float, right: float, high: float) -> list[Point]:
    """Return the outline of a rectangle, relative to a spot."""
    return [(left, low), (right, low), (right, high), (left, high)]


class Stencil:
    """A shape to lay colour through, in the picture's coordinates, limited to a box."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._size = box[2] - box[0], box[3] - box[1]
        self._image = Image.new("L", (self._size[0] * _SCALE, self._size[1] * _SCALE))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Iterable[Point], value: int = 255) -> Stencil:
        """Add a polygon, or take one away with value 0."""
        self._draw.polygon(self._placed(points), fill=value)
        return self

    def ellipse(self, x: float, y: float, width: float, height: float, value: int = 255) -> Stencil:
        """Add an ellipse by its middle and its radii, or take one away."""
        self._draw.ellipse(
            self._placed([(x - width, y - height), (x + width, y + height)]), fill=value
        )
        return self

    def rectangle(self, x: float, y: float, right: float, low: float, value: int = 255) -> Stencil:
        """Add a rectangle by its corners, or take one away."""
        return self.polygon([(x, y), (right, y), (right, low), (x, low)], value)

    def line(self, points: Iterable[Point], width: float, value: int = 255) -> Stencil:
        """Add a line with round joints."""
        thick = max(1, round(width * _SCALE))
        self._draw.line(self._placed(points), fill=value, width=thick, joint="curve")
        return self

    def form(self, spot: Spot, *outlines: Iterable[Point]) -> Stencil:
        """Add outlines that are given relative to a spot."""
        for outline in outlines:
            self.polygon([spot.at(*point) for point in outline])
        return self

    def disc(self, spot: Spot, dx: float, dy: float, wide: float, tall: float) -> Stencil:
        """Add an ellipse whose middle and radii are given relative to a spot."""
        x, y = spot.at(dx, dy)
        return self.ellipse(x, y, wide * spot.size, tall * spot.size)

    def within(self, other: Stencil) -> Stencil:
        """Keep only what is also in `other`, a stencil of the same box."""
        self._image = ImageChops.multiply(self._image, other._image)
        self._draw = ImageDraw.Draw(self._image)
        return self

    def mask(self) -> Image.Image:
        """Return the shape as a mask of the box's size."""
        return self._image.reduce(_SCALE)

    def trimmed(self, margin: int) -> tuple[Image.Image | None, Box]:
        """Return the mask of the part that holds anything, and its box; None for an empty one."""
        mask = self.mask()
        found = mask.getbbox()
        if found is None:
            return None, self.box
        left, top = max(0, found[0] - margin), max(0, found[1] - margin)
        right, low = min(mask.width, found[2] + margin), min(mask.height, found[3] + margin)
        x, y = self.box[:2]
        return mask.crop((left, top, right, low)), (x + left, y + top, x + right, y + low)

    def _placed(self, points: Iterable[Point]) -> list[Point]:
        left, top = self.box[:2]
        return [((x - left) * _SCALE, (y - top) * _SCALE) for x, y in points]
