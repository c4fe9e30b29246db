"""Hold what every part of a landscape needs: the canvas, the light, the horizon, the dice."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin
from typing import TYPE_CHECKING

from example_project.storyboard.art.stencil import Point, Spot

if TYPE_CHECKING:
    from random import Random

    from example_project.storyboard.art.canvas import Canvas
    from example_project.storyboard.art.palette import Palette
    from example_project.storyboard.art.scenery import Scenery

__all__ = ["Stage"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A scene about to be drawn.

    Attributes:
        canvas: where it is drawn.
        scenery: what it shows.
        rng: the dice, the same for the same scene.
        light_is_right: whether sun or moon stand on the right; the main thing is opposite.
        light_x: where sun or moon stand, 0 to 1 across, about a third from the side.
        subject_x: where the main thing stands, about a third from the other side.
        horizon: 0 to 1 down.
    """

    canvas: Canvas
    scenery: Scenery
    rng: Random
    light_is_right: bool
    light_x: float
    subject_x: float
    horizon: float

    @property
    def palette(self) -> Palette:
        """Return the colours."""
        return self.canvas.palette

    @property
    def width(self) -> int:
        """Return the picture's width."""
        return self.canvas.width

    @property
    def height(self) -> int:
        """Return the picture's height."""
        return self.canvas.height

    def towards_light(self, x: float) -> int:
        """Return 1 or -1: on which side of the pixel `x` sun or moon stand."""
        return -1 if self.light_x * self.width < x else 1

    def shadow(self, spot: Spot, reach: float) -> None:
        """Draw the soft shadow of what stands at a spot; `reach` is in the spot's sizes."""
        shape = self.canvas.stencil(spot.box(reach, reach * 0.2, reach * 0.2))
        shape.disc(spot, 0.0, 0.0, reach, reach * 0.12)
        self.canvas.lay(shape, self.palette.ink, opacity=0.26, ink=0, fine=True)

    def hills(self, base: float, swell: float, waves: float = 1.6) -> list[Point]:
        """Return a soft line of hills around the height `base`; both are parts of the height."""
        parts = [
            (share, waves * pitch, self.rng.uniform(0, 2 * pi))
            for share, pitch in ((0.62, 1.0), (0.28, 2.3), (0.1, 5.1))
        ]
        return [
            (
                x,
                self.height
                * (
                    base
                    - swell * sum(a * sin(2 * pi * f * x / self.width + p) for a, f, p in parts)
                ),
            )
            for x in range(-12, self.width + 13, 6)
        ]

    def ground(self, line: list[Point]) -> list[Point]:
        """Return the polygon of all that lies below a line."""
        return [*line, (line[-1][0], self.height + 4), (line[0][0], self.height + 4)]
