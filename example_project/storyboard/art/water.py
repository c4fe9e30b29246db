"""Draw the sea with its far shore, the path of light on it, and the rocks in front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from example_project.storyboard.art.land import layer
from example_project.storyboard.art.palette import mix

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage
    from example_project.storyboard.art.stencil import Point

__all__ = ["draw_sea"]


def draw_sea(stage: Stage) -> None:
    """Draw a headland, the open water and a rocky shore on the subject's side."""
    palette, h = stage.palette, stage.horizon
    _headland(stage)
    water = stage.canvas.stencil().rectangle(-4, stage.height * h, stage.width + 4, stage.height)
    stage.canvas.lay(water, palette.water[0], palette.water[1], ink=2)
    if stage.scenery.weather in {"clear", "snow", "fog"}:
        _path_of_light(stage)
    _waves(stage)
    _shore(stage)


def _headland(stage: Stage) -> None:
    away = 1.0 if stage.light_is_right else 0.0
    line: list[Point] = []
    for x, y in stage.hills(stage.horizon - 0.045, 0.035, 1.7):
        reach = abs(x / stage.width - away) / 0.62
        sunk = max(0.0, 1 - reach**1.4)
        line.append(
            (x, stage.height * stage.horizon + 6 - (stage.height * stage.horizon - y) * sunk)
        )
    layer(stage, line, 0.12)


def _path_of_light(stage: Stage) -> None:
    palette = stage.palette
    top = stage.height * stage.horizon
    depth = stage.height - top
    middle = stage.light_x * stage.width
    path = stage.canvas.stencil()
    rows = 22
    for row in range(rows):
        share = (row + 0.4) / rows
        y = top + depth * share**1.35
        half = stage.width * (0.012 + 0.055 * share) * stage.rng.uniform(0.45, 1.15)
        thick = 0.8 + 3.2 * share
        shift = stage.rng.uniform(-0.4, 0.4) * half
        path.ellipse(middle + shift, y, half, thick)
    stage.canvas.lay(
        path,
        palette.light,
        mix(palette.light, palette.water[1], 0.35),
        opacity=0.72,
        ink=0,
        fine=True,
    )


def _waves(stage: Stage) -> None:
    palette = stage.palette
    rough = stage.scenery.weather in {"storm", "rain"}
    top = stage.height * stage.horizon
    if rough:
        for row in range(4):
            share = (row + 1) / 5
            y = stage.horizon + (1 - stage.horizon) * share * 0.9
            tone = mix(palette.water[0], palette.water[1], share)
            line = _swell(stage, y, 0.012 + 0.03 * share)
            shape = stage.canvas.stencil().polygon(stage.ground(line))
            stage.canvas.lay(shape, mix(tone, palette.light, 0.16), mix(tone, palette.ink, 0.18))
            foam = stage.canvas.stencil().line(line[::2], 0.8 + 1.8 * share)
            stage.canvas.lay(foam, mix(tone, (255, 255, 255), 0.6), opacity=0.55, ink=0, fine=True)
        return
    ripples = stage.canvas.stencil()
    for _ in range(26):
        share = stage.rng.random()
        y = top + (stage.height - top) * (0.04 + 0.9 * share**1.3)
        x = stage.rng.uniform(0, stage.width)
        ripples.ellipse(x, y, stage.width * (0.012 + 0.05 * share), 0.6 + 1.3 * share)
    stage.canvas.lay(
        ripples, mix(palette.water[0], (255, 255, 255), 0.3), opacity=0.4, ink=0, fine=True
    )


def _swell(stage: Stage, base: float, height: float) -> list[Point]:
    """Return a line of waves with sharp crests."""
    pitch = stage.width * (0.05 + height * 3.2)
    line: list[Point] = []
    left = -stage.rng.uniform(0, pitch) - 12
    before = 1.0
    while left < stage.width + 12:
        wide = pitch * stage.rng.uniform(0.6, 1.35)
        after = stage.rng.uniform(0.35, 1.25)
        for step in range(14):
            share = step / 14
            # Steep in front, long behind: the sea moves.
            bent = share**0.72
            tall = before + (after - before) * bent
            line.append(
                (
                    left + wide * share,
                    stage.height * (base - height * tall * (2 * abs(bent - 0.5)) ** 1.9),
                )
            )
        left, before = left + wide, after
    return line


def _shore(stage: Stage) -> None:
    """Draw rocks that rise towards the subject's side and leave the light's side open."""
    side = -0.05 if stage.light_is_right else 1.05
    for row, (nearness, reach, rise) in enumerate(((0.7, 0.52, 0.2), (0.95, 0.4, 0.13))):
        line: list[Point] = []
        jag = 0.0
        for x in range(-12, stage.width + 13, 14):
            away = abs(x / stage.width - side)
            jag = 0.6 * jag + stage.rng.uniform(-1, 1)
            share = max(0.0, 1 - away / reach) ** 0.8
            y = 1.03 - (rise * share + (0.012 * jag if share else 0.0)) - 0.02 * row
            line.append((x, stage.height * (y if share else 1.06)))
        layer(stage, line, nearness)
