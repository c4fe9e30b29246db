"""Draw open country in layers that grow darker and clearer towards the viewer."""

from __future__ import annotations

from math import sin
from typing import TYPE_CHECKING

from example_project.storyboard.art.palette import Colour, mix

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage
    from example_project.storyboard.art.stencil import Point, Stencil

__all__ = [
    "conifer",
    "draw_corner_firs",
    "draw_desert",
    "draw_forest",
    "draw_grass",
    "draw_meadow",
    "draw_mountains",
    "layer",
]


def layer(
    stage: Stage, line: list[Point], nearness: float, trees: int = 0, height: float = 0.0
) -> list[Point]:
    """Draw the land below a line, with conifers along it; return the line."""
    tone = stage.palette.depth(nearness)
    lower = mix(tone, stage.palette.depth(max(0.0, nearness - 0.3)), 0.55)
    wood = stage.canvas.stencil()
    for _ in range(trees):
        x, y = line[stage.rng.randrange(len(line))]
        conifer(wood, x, y + 3, height * stage.rng.uniform(0.6, 1.15))
    if trees:
        growth = mix(stage.palette.growth(nearness), tone, 0.35)
        stage.canvas.lay(wood, growth, mix(growth, lower, 0.3), ink=2 + nearness)
    box = (0, min(y for _, y in line) - 6, stage.width, stage.height)
    shape = stage.canvas.stencil(box).polygon(stage.ground(line))
    stage.canvas.lay(shape, tone, lower, ink=2 + 2 * nearness)
    return line


def conifer(shape: Stencil, x: float, base: float, height: float) -> None:
    """Add a fir to a stencil."""
    for tier in range(4):
        top = base - height * (1 - tier * 0.21)
        low = base - height * (0.6 - tier * 0.18)
        half = height * (0.1 + tier * 0.052)
        shape.polygon([(x, top), (x + half, low), (x - half, low)])
    shape.rectangle(x - height * 0.025, base - height * 0.1, x + height * 0.025, base + 3)


def draw_meadow(stage: Stage) -> None:
    """Draw rolling hills with a road that winds to the horizon."""
    h = stage.horizon
    layer(stage, stage.hills(h, 0.07, 0.9), 0.08)
    layer(stage, stage.hills(h + 0.07, 0.05, 1.2), 0.28, 26, stage.height * 0.045)
    stage.canvas.veil(stage.height * (h - 0.04), stage.height * (h + 0.12), stage.palette.haze, 0.3)
    layer(stage, stage.hills(h + 0.16, 0.05, 0.8), 0.52)
    line = layer(stage, stage.hills(h + 0.27, 0.035, 0.7), 0.74)
    _road(stage, line)


def _road(stage: Stage, line: list[Point]) -> None:
    start_x = stage.width * (0.5 + (stage.subject_x - 0.5) * 0.5)
    top = min(line, key=lambda point: abs(point[0] - start_x))[1] + 1
    left: list[Point] = []
    right: list[Point] = []
    for step in range(41):
        share = step / 40
        y = top + (stage.height + 6 - top) * share**1.5
        middle = start_x + sin(share * 4.2) * stage.width * 0.1 * (0.15 + share)
        half = 2 + stage.width * 0.075 * share**1.7
        left.append((middle - half, y))
        right.append((middle + half, y))
    tone = mix(stage.palette.depth(0.4), stage.palette.light, 0.35)
    shape = stage.canvas.stencil().polygon([*left, *reversed(right)])
    stage.canvas.lay(shape, mix(tone, stage.palette.haze, 0.3), tone, ink=2)


def draw_grass(stage: Stage) -> None:
    """Draw tall grass in the lower corners, close to the viewer; none when it snows."""
    if stage.scenery.weather == "snow":
        return
    blades = stage.canvas.stencil((0, stage.height * 0.75, stage.width, stage.height))
    for _ in range(150):
        from_edge = stage.width * 0.3 * stage.rng.random() ** 1.7
        x = stage.rng.choice((from_edge, stage.width - from_edge))
        tall = stage.height * 0.15 * (1 - from_edge / stage.width * 2.6) * stage.rng.uniform(0.4, 1)
        lean = stage.rng.uniform(-0.4, 0.4) * tall
        low = stage.height + 4
        blades.polygon([(x - 2.4, low), (x + lean, low - tall), (x + 2.4, low)])
    tone = mix(stage.palette.growth(1.0), stage.palette.ink, 0.18)
    stage.canvas.lay(blades, tone, mix(tone, stage.palette.ink, 0.2), ink=1, fine=True)


def draw_corner_firs(stage: Stage) -> None:
    """Draw firs close by at both edges, as a frame."""
    firs = stage.canvas.stencil()
    for share, tall in ((0.015, 0.42), (0.075, 0.3), (0.12, 0.2), (0.985, 0.38), (0.935, 0.24)):
        size = tall * stage.rng.uniform(0.85, 1.1) * stage.height
        conifer(firs, share * stage.width, stage.height * 1.02, size)
    tone = stage.palette.growth(1.0)
    stage.canvas.lay(firs, tone, mix(tone, stage.palette.ink, 0.3), ink=3)


def draw_forest(stage: Stage) -> None:
    """Draw rows of firs in mist, with a gap where the light comes through."""
    h = stage.horizon - 0.04
    for row, (nearness, height) in enumerate(((0.1, 0.2), (0.28, 0.28), (0.5, 0.38))):
        base = h + 0.1 + row * 0.1
        line = stage.hills(base, 0.02, 1.1)
        gap = stage.light_x * stage.width
        shape = stage.canvas.stencil()
        for x, y in line[:: 6 + 2 * row]:
            spread = abs(x - gap) / stage.width
            tall = height * (0.45 + min(1.0, spread * 2.2)) * stage.rng.uniform(0.72, 1.1)
            conifer(shape, x + stage.rng.uniform(-14, 14), y + 4, tall * stage.height)
        growth = stage.palette.growth(nearness + 0.08)
        stage.canvas.lay(shape, growth, mix(growth, stage.palette.haze, 0.25), ink=2 + nearness)
        layer(stage, line, nearness)
        low = stage.height * (base + 0.1)
        stage.canvas.veil(low - stage.height * 0.2, low, stage.palette.haze, 0.42 - row * 0.12)
    layer(stage, stage.hills(h + 0.4, 0.03, 0.8), 0.74)
    _trunks(stage)


def _trunks(stage: Stage) -> None:
    tone = stage.palette.growth(1.0)
    for x, thick in ((0.045, 0.026), (0.135, 0.014), (0.955, 0.03), (0.865, 0.012)):
        middle, half = x * stage.width, thick * stage.width
        trunk = stage.canvas.stencil((middle - half * 4, 0, middle + half * 4, stage.height))
        bend = stage.rng.uniform(-0.5, 0.5) * half
        trunk.polygon(
            [
                (middle + bend - half * 0.7, -4),
                (middle + bend + half * 0.7, -4),
                (middle + half, stage.height * 0.78),
                (middle + half * 1.12, stage.height * 0.9),
                (middle + half * 1.5, stage.height + 4),
                (middle - half * 1.5, stage.height + 4),
                (middle - half * 1.12, stage.height * 0.9),
                (middle - half, stage.height * 0.78),
            ]
        )
        stage.canvas.lay(trunk, mix(tone, stage.palette.haze, 0.12), tone)


def draw_mountains(stage: Stage) -> None:
    """Draw snow-capped ranges above wooded foothills."""
    h = stage.horizon
    _range(stage, h + 0.06, 0.26, 0.12)
    _range(stage, h + 0.13, 0.4, 0.32)
    low = stage.height * (h + 0.2)
    stage.canvas.veil(low - stage.height * 0.24, low, stage.palette.haze, 0.5)
    layer(stage, stage.hills(h + 0.17, 0.05, 1.1), 0.55, 60, stage.height * 0.07)
    layer(stage, stage.hills(h + 0.3, 0.05, 0.8), 0.8, 34, stage.height * 0.12)


def _range(stage: Stage, base: float, rise: float, nearness: float) -> None:
    peaks = stage.rng.randint(3, 4)
    line: list[Point] = [(-20, stage.height * (base - rise * 0.3))]
    facets: list[list[Point]] = []
    for number in range(peaks):
        x = stage.width * (number + stage.rng.uniform(0.3, 0.7)) / peaks
        tall = rise * stage.rng.uniform(0.62, 1.0)
        top = (x, stage.height * (base - tall))
        valley_x = stage.width * (number + 1) / peaks
        valley = (valley_x, stage.height * (base - rise * stage.rng.uniform(0.05, 0.3)))
        foot = (x + stage.rng.uniform(-30, 20), stage.height * (base + 0.1))
        down = _jagged(stage, top, valley)
        line += [*_jagged(stage, line[-1], top), *down]
        facets.append([top, *down, (valley[0], foot[1]), foot, *_jagged(stage, foot, top, 26)])
    line.append((stage.width + 20, stage.height * (base - rise * 0.25)))
    tone = stage.palette.depth(nearness)
    stage.canvas.lay(stage.canvas.stencil().polygon(stage.ground(line)), tone, ink=3)
    caps = stage.canvas.stencil().polygon(stage.ground(line)).within(_snow_line(stage, base, rise))
    snow = mix(stage.palette.haze, stage.palette.light, 0.8)
    stage.canvas.lay(caps, mix(snow, tone, 0.48 - nearness), opacity=0.95, ink=0)
    for facet in facets:
        shade = stage.canvas.stencil().polygon(facet)
        stage.canvas.lay(shade, mix(tone, stage.palette.ink, 0.3), tone, opacity=0.42, ink=0)


def _jagged(stage: Stage, start: Point, end: Point, shake: float = 14) -> list[Point]:
    points = []
    for step in range(1, 8):
        share = step / 8
        x = start[0] + (end[0] - start[0]) * share + stage.rng.uniform(-0.4, 0.4) * shake
        y = start[1] + (end[1] - start[1]) * share + stage.rng.uniform(-0.6, 0.6) * shake
        points.append((x, y))
    return [*points, end]


def _snow_line(stage: Stage, base: float, rise: float) -> Stencil:
    edge: list[Point] = []
    for number, x in enumerate(range(-20, stage.width + 40, 22)):
        depth = 0.52 + (0.1 if number % 2 else -0.06) * stage.rng.uniform(0.4, 1.3)
        edge.append((x, stage.height * (base - rise * depth)))
    return stage.canvas.stencil().polygon([(-20, -4), *edge, (stage.width + 40, -4)])


def draw_desert(stage: Stage) -> None:
    """Draw dunes with a lit and a shaded side."""
    h = stage.horizon
    layer(stage, stage.hills(h + 0.01, 0.035, 1.4), 0.1)
    for row, nearness in enumerate((0.26, 0.48, 0.72, 0.95)):
        _dune(stage, h + 0.06 + row * 0.105, 0.06 + row * 0.012, nearness)


def _dune(stage: Stage, base: float, swell: float, nearness: float) -> None:
    crest_x = stage.width * stage.rng.uniform(0.2, 0.8)
    line: list[Point] = []
    for x in range(-12, stage.width + 13, 6):
        away = (x - crest_x) / stage.width
        slope = 1 / (1 + (abs(away) * (2.1 if away < 0 else 3.4)) ** 1.8)
        line.append((x, stage.height * (base + swell * 0.6 - swell * 1.6 * slope)))
    tone: Colour = stage.palette.depth(nearness)
    lit = mix(tone, stage.palette.light, 0.28)
    stage.canvas.lay(stage.canvas.stencil().polygon(stage.ground(line)), lit, tone)
    crest = min(line, key=lambda point: point[1])
    behind = [point for point in line if point[0] >= crest[0]]
    foot: list[Point] = []
    for step in range(13):
        share = step / 12
        x = crest[0] + (stage.width * 0.34) * share**1.5
        foot.append((x, crest[1] + (stage.height * 1.02 - crest[1]) * share * 0.62))
    side = [*behind, (stage.width + 12, stage.height + 4), (foot[-1][0], stage.height + 4)]
    shade = stage.canvas.stencil().polygon([*side, *reversed(foot)])
    stage.canvas.lay(shade, mix(tone, stage.palette.ink, 0.24), tone, opacity=0.6, ink=0)
