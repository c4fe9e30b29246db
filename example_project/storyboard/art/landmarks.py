"""Draw the one thing that a scene is about: a lighthouse, a boat, a fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

from example_project.storyboard.art.palette import mix
from example_project.storyboard.art.stencil import Spot, block
from example_project.storyboard.art.texture import dimmed

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage
    from example_project.storyboard.art.stencil import Point

__all__ = ["draw_boat", "draw_fire", "draw_lighthouse"]

_WALL_TOP: Final = 0.82
_SHADED: Final = ((-0.02, 0.0), (-0.012, _WALL_TOP), (-0.075, _WALL_TOP), (-0.115, 0.0))
_GALLERY: Final = block(-0.105, 0.81, 0.105, 0.835)
_CAP: Final = ((-0.075, 0.955), (0.0, 1.06), (0.075, 0.955))
_LANTERN: Final = block(-0.052, 0.835, 0.052, 0.955)

_MAST: Final = block(-0.015, 0.0, 0.015, 1.12)
_MAINSAIL: Final = ((0.04, 1.08), (0.46, 0.2), (0.04, 0.16))
_FORESAIL: Final = ((-0.05, 0.98), (-0.4, 0.2), (-0.05, 0.17))
_HULL: Final = ((-0.5, 0.12), (0.54, 0.12), (0.36, -0.1), (-0.34, -0.1))

_LOGS: Final = (((-0.4, 0.0), (0.34, 0.14)), ((0.4, 0.0), (-0.34, 0.14)))
_FLAME: Final = (
    (-0.34, 0.34),
    (-0.16, 0.62),
    (-0.1, 0.46),
    (0.05, 1.0),
    (0.2, 0.55),
    (0.28, 0.64),
    (0.33, 0.3),
)
_HEAT: Final = ((1.0, (226, 84, 34)), (0.66, (250, 158, 50)), (0.36, (255, 232, 150)))


def draw_lighthouse(stage: Stage, x: float, base: float, size: float) -> None:
    """Draw a banded lighthouse; its beam shows when lamps are lit."""
    palette = stage.palette
    spot = Spot(x, base, size, stage.towards_light(x))
    if palette.is_dark:
        _beam(stage, spot.at(0.0, 0.9), size)
    box = spot.box(0.3, 1.1)
    wall = mix(palette.depth(0.75), palette.light, 0.62 if not palette.is_dark else 0.4)
    tower = stage.canvas.stencil(box).form(spot, _band(0.0, 1.0))
    stage.canvas.lay(tower, wall, mix(wall, palette.near, 0.25), ink=3, fine=True)
    bands = stage.canvas.stencil(box).form(spot, _band(0.14, 0.36), _band(0.6, 0.82))
    stage.canvas.lay(bands, palette.accent, ink=1, fine=True)
    shade = stage.canvas.stencil(box).form(spot, _SHADED)
    stage.canvas.lay(shade, palette.ink, opacity=0.26, ink=0, fine=True)
    top = stage.canvas.stencil(box).form(spot, _GALLERY, _CAP)
    stage.canvas.lay(top, mix(palette.near, palette.ink, 0.55), ink=2, fine=True)
    glass = mix(palette.lamp, (255, 255, 255), 0.45) if palette.is_dark else palette.sky[0]
    lantern = stage.canvas.stencil(box).form(spot, _LANTERN)
    stage.canvas.lay(lantern, glass, ink=2, fine=True)
    if palette.is_dark:
        stage.canvas.glow(*spot.at(0.0, 0.9), size * 0.55, palette.lamp, 0.75)


def _band(low: float, high: float) -> list[Point]:
    """Return the part of the tapering wall between two shares of its height."""
    below, above = 0.115 - 0.04 * low, 0.115 - 0.04 * high
    bottom, top = _WALL_TOP * low, _WALL_TOP * high
    return [(-below, bottom), (-above, top), (above, top), (below, bottom)]


def _beam(stage: Stage, lamp: Point, size: float) -> None:
    onward = 1 if lamp[0] < stage.width / 2 else -1
    for side, reach, strength in ((onward, 0.95, 0.6), (-onward, 0.5, 0.35)):
        end_x = lamp[0] + side * reach * stage.width
        ray = stage.canvas.stencil().polygon(
            [
                (lamp[0], lamp[1] - size * 0.03),
                (end_x, lamp[1] - size * 0.36),
                (end_x, lamp[1] + size * 0.06),
                (lamp[0], lamp[1] + size * 0.03),
            ]
        )
        fade = Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90)
        if side > 0:
            fade = ImageChops.invert(fade)
        strip = Image.new("L", stage.canvas.size)
        wide = round(reach * stage.width)
        strip.paste(fade.resize((wide, stage.height)), (round(min(lamp[0], end_x)), 0))
        mask = dimmed(ImageChops.multiply(ray.mask(), strip), strength)
        stage.canvas.image.paste(mix(stage.palette.lamp, (255, 255, 255), 0.4), (0, 0), mask)


def draw_boat(stage: Stage, x: float, base: float, size: float) -> None:
    """Draw a small sailing boat with its reflection; in pixels."""
    palette = stage.palette
    spot = Spot(x, base, size)
    box = spot.box(1.0, 1.4, 0.8)
    mirror = stage.canvas.stencil(box)
    for row in range(6):
        half = (0.42 - row * 0.055) * stage.rng.uniform(0.7, 1.0)
        mirror.disc(spot, 0.0, -0.1 - row * 0.08, half, 0.016)
    tone = mix(palette.accent, palette.water[1], 0.6)
    stage.canvas.lay(mirror, tone, opacity=0.6, ink=0, fine=True)
    sail = mix(palette.light, palette.haze, 0.3)
    for shape, upper, lower in (
        (_MAST, palette.ink, palette.ink),
        (_MAINSAIL, palette.accent, mix(palette.accent, palette.ink, 0.18)),
        (_FORESAIL, sail, mix(sail, palette.haze, 0.5)),
        (_HULL, mix(palette.near, palette.ink, 0.55), mix(palette.near, palette.ink, 0.7)),
    ):
        part = stage.canvas.stencil(box).form(spot, shape)
        stage.canvas.lay(part, upper, lower, ink=2, fine=True)


def draw_fire(stage: Stage, x: float, base: float, size: float) -> None:
    """Draw a camp fire and the light it throws; in pixels."""
    palette = stage.palette
    spot = Spot(x, base, size)
    stage.canvas.glow(*spot.at(0.0, 0.3), size * 3.4, palette.lamp, 0.62)
    logs = stage.canvas.stencil(spot.box(1.0, 1.3))
    for log in _LOGS:
        logs.line([spot.at(*point) for point in log], size * 0.1)
    stage.canvas.lay(logs, mix(palette.near, palette.ink, 0.7), ink=2, fine=True)
    for part, tone in _HEAT:
        tongue = [(dx * part, dy * part) for dx, dy in _FLAME]
        flame = stage.canvas.stencil(spot.box(1.0, 1.3))
        flame.form(spot, [(-0.3 * part, 0.06), *tongue, (0.26 * part, 0.06)])
        stage.canvas.lay(flame, tone, ink=2 if tone == _HEAT[0][1] else 0, fine=True)
