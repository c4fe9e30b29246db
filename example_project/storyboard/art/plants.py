"""Draw single trees, where one tree is the subject: a broad-leaved one, a palm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from example_project.storyboard.art.palette import mix
from example_project.storyboard.art.stencil import Spot

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage
    from example_project.storyboard.art.stencil import Point

__all__ = ["draw_palm", "draw_tree"]

_TRUNK: Final = ((-0.022, 0.62), (0.022, 0.62), (0.055, 0.0), (-0.055, 0.0))
_BOUGHS: Final = ((-1, 0.4, 0.26), (1, 0.5, 0.24), (-1, 0.58, 0.14), (1, 0.34, 0.2))
_CROWN: Final = (
    (0.0, 0.78, 0.27),
    (-0.24, 0.66, 0.2),
    (0.25, 0.68, 0.19),
    (0.1, 0.92, 0.17),
    (-0.14, 0.9, 0.16),
)
_FRONDS: Final = (
    (-0.5, 0.2),
    (-0.44, -0.06),
    (-0.22, -0.24),
    (0.2, -0.25),
    (0.43, -0.08),
    (0.5, 0.18),
)


def draw_tree(stage: Stage, x: float, base: float, size: float, nearness: float) -> None:
    """Draw a broad-leaved tree, lit from the light's side; bare when it snows."""
    palette = stage.palette
    spot = Spot(x, base, size, stage.towards_light(x))
    stage.shadow(spot, 0.34)
    wood = stage.canvas.stencil(spot.box(0.8, 1.2)).form(spot, _TRUNK)
    for side, rise, reach in _BOUGHS:
        bough = [
            (0.0, rise),
            (side * reach * 0.6, rise + 0.15),
            (side * reach, rise + 0.32),
        ]
        wood.line([spot.at(*point) for point in bough], size * 0.02)
    stage.canvas.lay(wood, mix(palette.growth(nearness), palette.ink, 0.55), ink=2, fine=True)
    if stage.scenery.weather == "snow":
        return
    tone = mix(palette.growth(nearness), palette.light, 0.06)
    for part, shift, lit in ((1.0, 0.0, 0.0), (0.72, 0.05, 0.16)):
        crown = stage.canvas.stencil(spot.box(0.8, 1.2))
        for dx, dy, radius in _CROWN:
            crown.disc(spot, dx * part + shift, dy + shift, radius * part, radius * part * 0.9)
        shaded = mix(tone, palette.ink, 0.22 - lit)
        stage.canvas.lay(crown, mix(tone, palette.light, lit), shaded, ink=0 if lit else 3)


def draw_palm(stage: Stage, x: float, base: float, size: float) -> None:
    """Draw a palm that leans towards the light."""
    palette = stage.palette
    spot = Spot(x, base, size, stage.towards_light(x))
    stage.shadow(spot, 0.3)
    trunk = stage.canvas.stencil(spot.box(1.0, 1.4))
    trunk.line([spot.at(0.16 * (step / 8) ** 2, step / 8) for step in range(9)], size * 0.045)
    stage.canvas.lay(trunk, mix(palette.depth(1.0), palette.ink, 0.5), ink=2, fine=True)
    crown = Spot(*spot.at(0.16, 1.0), size)
    leaves = stage.canvas.stencil(spot.box(1.0, 1.4))
    for reach, drop in _FRONDS:
        leaves.form(crown, _frond(reach, drop))
    green = mix(palette.growth(1.0), mix((38, 92, 62), palette.near, 0.3), 0.5)
    stage.canvas.lay(leaves, green, ink=2, fine=True)


def _frond(reach: float, drop: float) -> list[Point]:
    """Return a leaf that rises from the crown, arches over and hangs down."""
    upper, under = [], []
    for step in range(9):
        share = step / 8
        arch = 0.34 * share * (1 - share) * (1.3 - drop)
        middle = arch - drop * share**1.4
        half = 0.055 * (share * (1 - share)) ** 0.5
        upper.append((reach * share, middle + half))
        under.append((reach * share, middle - half))
    return [*upper, *reversed(under)]
