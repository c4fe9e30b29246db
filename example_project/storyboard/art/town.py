"""Draw a town: roofs behind roofs, towers, lit windows, and a square in front."""

from __future__ import annotations

from math import cos, pi, sin
from typing import TYPE_CHECKING, Final

from example_project.storyboard.art.land import layer
from example_project.storyboard.art.palette import mix
from example_project.storyboard.art.stencil import Spot, block

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage
    from example_project.storyboard.art.stencil import Stencil

__all__ = ["draw_desert_town", "draw_house", "draw_stalls", "draw_town"]

_CHIMNEY: Final = (block(0.22, 0.5, 0.36, 1.02),)
_WALLS: Final = (block(-0.5, 0.0, 0.5, 0.5),)
_GABLE: Final = (((-0.62, 0.44), (-0.36, 0.88), (0.36, 0.88), (0.62, 0.44)),)
_DOOR: Final = (block(-0.08, 0.0, 0.09, 0.33),)
_PANES: Final = (block(-0.37, 0.14, -0.2, 0.34), block(0.21, 0.14, 0.38, 0.34))

_TOWERS: Final = 0.13
_LIT_WINDOWS: Final = 0.34
# Farther away, a roof in a colour of its own would be clutter.
_ROOFS_SHOW: Final = 0.4


def draw_town(stage: Stage) -> None:
    """Draw three rows of houses above a square."""
    h = stage.horizon
    layer(stage, stage.hills(h, 0.05, 0.9), 0.06)
    for row, (nearness, size) in enumerate(((0.2, 0.1), (0.45, 0.15), (0.7, 0.22))):
        _row(stage, h + 0.12 + row * 0.1, size, nearness)
        low = stage.height * (h + 0.14 + row * 0.1)
        stage.canvas.veil(low - stage.height * 0.16, low, stage.palette.haze, 0.34 - row * 0.1)
    square = stage.canvas.stencil().rectangle(
        -4, stage.height * (h + 0.31), stage.width + 4, stage.height + 4
    )
    tone = stage.palette.depth(0.62)
    stage.canvas.lay(square, mix(tone, stage.palette.light, 0.3), mix(tone, stage.palette.ink, 0.2))
    for share in (0.09, 0.91):
        _street_lamp(stage, share * stage.width, stage.height * 0.95, stage.height * 0.4)


def draw_desert_town(stage: Stage) -> None:
    """Draw a row of flat roofs and domes, as a town in the sand has them."""
    _row(stage, stage.horizon + 0.14, 0.13, 0.34)
    _row(stage, stage.horizon + 0.24, 0.17, 0.5)
    ground = stage.canvas.stencil().rectangle(
        -4, stage.height * (stage.horizon + 0.24), stage.width + 4, stage.height + 4
    )
    tone = stage.palette.depth(0.66)
    stage.canvas.lay(ground, mix(tone, stage.palette.light, 0.4), tone)


def _street_lamp(stage: Stage, x: float, base: float, size: float) -> None:
    palette = stage.palette
    box = (x - size * 0.2, base - size * 1.1, x + size * 0.2, base + 2)
    if palette.is_dark:
        stage.canvas.glow(x, base - size * 0.9, size * 0.6, palette.lamp, 0.6)
    iron = stage.canvas.stencil(box)
    iron.rectangle(x - size * 0.012, base - size * 0.84, x + size * 0.012, base)
    iron.rectangle(x - size * 0.03, base - size * 0.06, x + size * 0.03, base)
    iron.rectangle(x - size * 0.05, base - size * 0.845, x + size * 0.05, base - size * 0.83)
    iron.polygon(
        [
            (x - size * 0.06, base - size * 0.955),
            (x, base - size * 1.02),
            (x + size * 0.06, base - size * 0.955),
        ]
    )
    stage.canvas.lay(iron, mix(palette.depth(1.0), palette.ink, 0.7), ink=1, fine=True)
    glass = stage.canvas.stencil(box).polygon(
        [
            (x - size * 0.045, base - size * 0.955),
            (x + size * 0.045, base - size * 0.955),
            (x + size * 0.032, base - size * 0.845),
            (x - size * 0.032, base - size * 0.845),
        ]
    )
    tone = mix(palette.lamp, (255, 255, 255), 0.4) if palette.is_dark else palette.haze
    stage.canvas.lay(glass, tone, ink=1, fine=True)


def _row(stage: Stage, base: float, size: float, nearness: float) -> None:
    low = stage.height * base
    walls, roofs = stage.canvas.stencil(), stage.canvas.stencil()
    lit, shut = stage.canvas.stencil(), stage.canvas.stencil()
    x = -stage.rng.uniform(0, 0.06) * stage.width
    while x < stage.width:
        wide = stage.height * size * stage.rng.uniform(0.6, 1.15)
        tall = stage.height * size * stage.rng.uniform(0.75, 1.5)
        if stage.rng.random() < _TOWERS and stage.scenery.place != "desert":
            wide, tall = wide * 0.55, tall * 1.75
        walls.rectangle(x, low - tall, x + wide, stage.height + 4)
        _roof(stage, walls if nearness < _ROOFS_SHOW else roofs, x, low - tall, wide)
        _windows(stage, (lit, shut), (x, low - tall, x + wide, low))
        x += wide + stage.rng.choice((0, 0, 0, wide * 0.18))
    tone = stage.palette.depth(nearness)
    stage.canvas.lay(walls, mix(tone, stage.palette.light, 0.14), tone, ink=1 + 2 * nearness)
    roof = mix(tone, stage.palette.accent, 0.4 * nearness)
    stage.canvas.lay(roofs, roof, mix(roof, stage.palette.ink, 0.2), ink=1 + 2 * nearness)
    dim = mix(tone, stage.palette.ink, 0.35)
    stage.canvas.lay(shut, dim, opacity=0.3 + 0.5 * nearness, ink=0, fine=True)
    glow = stage.palette.lamp if stage.palette.is_dark else mix(tone, stage.palette.light, 0.5)
    stage.canvas.lay(lit, glow, opacity=0.45 + 0.5 * nearness, ink=0, fine=True)


def _roof(stage: Stage, shape: Stencil, x: float, top: float, wide: float) -> None:
    kind = stage.rng.choice(("gable", "gable", "gable", "flat", "dome", "spire"))
    if stage.scenery.place == "desert":
        kind = stage.rng.choice(("flat", "flat", "dome"))
    middle, over = x + wide / 2, wide * 0.06
    if kind == "gable":
        rise = wide * stage.rng.uniform(0.35, 0.55)
        shape.polygon([(x - over, top + 1), (middle, top - rise), (x + wide + over, top + 1)])
        chimney = x + wide * stage.rng.choice((0.22, 0.7))
        shape.rectangle(chimney, top - rise * 0.85, chimney + wide * 0.1, top)
    elif kind == "spire" and wide < stage.height * 0.12:
        shape.polygon([(x - over, top + 1), (middle, top - wide * 1.7), (x + wide + over, top + 1)])
    elif kind == "dome":
        arc = [pi * step / 14 for step in range(15)]
        shape.polygon(
            [(middle + wide * 0.44 * cos(at), top + 1 - wide * 0.44 * sin(at)) for at in arc]
        )
        shape.rectangle(middle - 1, top - wide * 0.6, middle + 1, top)
    else:
        shape.rectangle(x - over, top - wide * 0.06, x + wide + over, top + wide * 0.05)


def _windows(
    stage: Stage, panes: tuple[Stencil, Stencil], wall: tuple[float, float, float, float]
) -> None:
    left, top, right, low = wall
    step = stage.height * 0.036
    columns = max(1, int((right - left) / step) - 1)
    gap = (right - left) / (columns + 1)
    half = min(gap, step) * 0.2
    rows = int((low - top) / (step * 1.25))
    for row in range(rows):
        y = top + step * (0.8 + 1.25 * row)
        for column in range(columns):
            x = left + gap * (column + 1)
            pane = panes[0] if stage.rng.random() < _LIT_WINDOWS else panes[1]
            pane.rectangle(x - half, y - half * 1.5, x + half, y + half * 1.5)


def draw_house(stage: Stage, x: float, base: float, size: float, nearness: float) -> None:
    """Draw a cottage with a lit window; sizes in pixels."""
    palette = stage.palette
    spot = Spot(x, base, size)
    tone = palette.growth(nearness)
    stage.shadow(spot, 0.62)
    roof = mix(tone, palette.accent, 0.5)
    if stage.scenery.weather == "snow":
        roof = mix(palette.near, palette.light, 0.7)
    glass = palette.lamp if palette.is_dark else mix(tone, palette.ink, 0.4)
    for shapes, upper, lower in (
        (_CHIMNEY, mix(tone, palette.ink, 0.3), mix(tone, palette.ink, 0.4)),
        (_WALLS, mix(tone, palette.light, 0.42), mix(tone, palette.light, 0.25)),
        (_GABLE, roof, mix(roof, palette.ink, 0.2)),
        (_DOOR, mix(tone, palette.ink, 0.5), mix(tone, palette.ink, 0.6)),
        (_PANES, glass, glass),
    ):
        part = stage.canvas.stencil(spot.box(1.0, 1.6)).form(spot, *shapes)
        stage.canvas.lay(part, upper, lower, ink=2, fine=True)
    if palette.is_dark:
        stage.canvas.glow(*spot.at(0.0, 0.25), size * 1.3, palette.lamp, 0.4)


def draw_stalls(stage: Stage, base: float) -> None:
    """Draw market stalls with striped awnings along a line; `base` is a part of the height."""
    palette = stage.palette
    size = stage.height * 0.25
    low = stage.height * base
    places = sorted(stage.rng.sample((0.09, 0.29, 0.72, 0.93), stage.rng.randint(2, 4)))
    for number, share in enumerate(places):
        x = stage.width * (share + stage.rng.uniform(-0.02, 0.02))
        box = (x - size, low - size * 1.3, x + size, low + size * 0.2)
        posts = stage.canvas.stencil(box)
        for side in (-0.62, 0.6):
            posts.rectangle(x + side * size, low - size * 0.8, x + (side + 0.04) * size, low)
        posts.rectangle(x - size * 0.62, low - size * 0.26, x + size * 0.64, low)
        stage.canvas.lay(posts, mix(palette.near, palette.ink, 0.45), ink=2, fine=True)
        tone = (palette.accent, palette.water[1], mix(palette.lamp, palette.accent, 0.25))[
            number % 3
        ]
        for stripe in range(8):
            left, right = -0.7 + stripe * 0.175, -0.7 + (stripe + 1) * 0.175
            cloth = stage.canvas.stencil(box).polygon(
                [
                    (x + left * size * 0.72, low - size * 1.05),
                    (x + right * size * 0.72, low - size * 1.05),
                    (x + right * size, low - size * 0.72),
                    (x + (left + right) / 2 * size, low - size * 0.64),
                    (x + left * size, low - size * 0.72),
                ]
            )
            pale = mix(tone, mix(palette.light, palette.haze, 0.35), 0.78)
            stage.canvas.lay(cloth, tone if stripe % 2 else pale, ink=1, fine=True)
