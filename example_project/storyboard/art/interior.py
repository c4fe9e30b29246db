"""Draw a room around a window: the weather stays outside, the lamp stands on the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from example_project.storyboard.art.palette import Colour, mix
from example_project.storyboard.art.people import draw_person

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage
    from example_project.storyboard.art.stencil import Box

__all__ = ["draw_room", "window_box"]


def window_box(stage: Stage) -> tuple[float, float, float, float]:
    """Return where the window is, in pixels; the view is drawn there first."""
    # Off the light, so that sun or moon look through a pane and not through the bar between.
    away = -0.06 if stage.light_is_right else 0.06
    middle, half = (stage.light_x + away) * stage.width, stage.width * 0.155
    return middle - half, stage.height * 0.12, middle + half, stage.height * 0.66


def draw_room(stage: Stage) -> None:
    """Draw the room over the view, leaving the window open."""
    wall = _tone(stage, "#7a4f3f", "#46304a")
    _walls(stage, wall)
    _window_frame(stage, wall)
    _furniture(stage, wall)
    left, _, right, _ = window_box(stage)
    x = right - stage.width * 0.03 if not stage.light_is_right else left + stage.width * 0.03
    draw_person(stage, x, stage.height * 0.93, stage.height * 0.5, scarf=False)


def _tone(stage: Stage, day: str, night: str) -> Colour:
    from_name = _hex(night if stage.palette.is_dark else day)
    return mix(from_name, stage.palette.haze, 0.12)


def _hex(name: str) -> Colour:
    return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)


def _walls(stage: Stage, wall: Colour) -> None:
    left, top, right, low = window_box(stage)
    floor_y = stage.height * 0.8
    shape = stage.canvas.stencil().rectangle(-4, -4, stage.width + 4, floor_y)
    shape.rectangle(left, top, right, low, 0)
    stage.canvas.lay(shape, mix(wall, (0, 0, 0), 0.22), wall, ink=0)
    panels = stage.canvas.stencil()
    step = stage.width / 16
    for number in range(17):
        x = number * step
        if x < left - 26 or x > right + 26:
            panels.rectangle(x, -4, x + step * 0.5, floor_y)
    stage.canvas.lay(panels, mix(wall, stage.palette.light, 0.1), opacity=0.22, ink=0, fine=True)
    wainscot = stage.canvas.stencil().rectangle(
        -4, floor_y - stage.height * 0.03, stage.width + 4, floor_y
    )
    stage.canvas.lay(wainscot, mix(wall, (0, 0, 0), 0.42), ink=0, fine=True)
    floor = stage.canvas.stencil().rectangle(-4, floor_y, stage.width + 4, stage.height + 4)
    boards = mix(wall, _hex("#2a1a18"), 0.5)
    stage.canvas.lay(floor, boards, mix(boards, (0, 0, 0), 0.35), ink=2)
    _light_on_floor(stage, floor_y)


def _light_on_floor(stage: Stage, floor_y: float) -> None:
    left, _, right, _ = window_box(stage)
    slant = stage.width * 0.08 * (1 if not stage.light_is_right else -1)
    pool = stage.canvas.stencil().polygon(
        [
            (left + slant * 0.6, floor_y + stage.height * 0.03),
            (right + slant * 0.6, floor_y + stage.height * 0.03),
            (right + slant * 2.2, stage.height * 0.985),
            (left + slant * 2.2, stage.height * 0.985),
        ]
    )
    tone = mix(stage.palette.sky[-1], stage.palette.light, 0.5)
    strength = 0.2 if stage.palette.is_dark else 0.42
    stage.canvas.lay(pool, tone, opacity=strength, ink=0, fine=True)


def _window_frame(stage: Stage, wall: Colour) -> None:
    left, top, right, low = window_box(stage)
    wood = mix(wall, _hex("#f1dfc3"), 0.55 if not stage.palette.is_dark else 0.22)
    edge = stage.height * 0.018
    frame = stage.canvas.stencil()
    for x in (left - edge, (left + right - edge) / 2, right):
        frame.rectangle(x, top - edge, x + edge, low + edge)
    for y in (top - edge, top + (low - top) * 0.38, low):
        frame.rectangle(left - edge, y, right + edge, y + edge)
    frame.rectangle(left - edge * 3, low + edge * 0.6, right + edge * 3, low + edge * 2)
    stage.canvas.lay(frame, wood, mix(wood, (0, 0, 0), 0.15), ink=2, fine=True)
    cloth = mix(stage.palette.accent, wall, 0.35)
    for side in (-1, 1):
        _curtain(stage, cloth, side)
    rail = stage.canvas.stencil().rectangle(
        left - edge * 6, top - edge * 3, right + edge * 6, top - edge * 2.2
    )
    stage.canvas.lay(rail, mix(wall, (0, 0, 0), 0.6), ink=0, fine=True)


def _curtain(stage: Stage, cloth: Colour, side: int) -> None:
    left, top, right, low = window_box(stage)
    outer = left - stage.width * 0.045 if side < 0 else right + stage.width * 0.045
    inner = left + stage.width * 0.018 if side < 0 else right - stage.width * 0.018
    hem = low + stage.height * 0.1
    tied = (outer * 0.62 + inner * 0.38, top + (low - top) * 0.68)
    fall = stage.canvas.stencil().polygon(
        [
            (outer, top - 12),
            (inner, top - 12),
            (inner, top + (low - top) * 0.3),
            tied,
            (inner * 0.7 + outer * 0.3, hem),
            (outer, hem),
        ]
    )
    stage.canvas.lay(fall, cloth, mix(cloth, (0, 0, 0), 0.35), ink=2, fine=True)
    for fold in (0.25, 0.55):
        x = outer + (inner - outer) * fold
        crease = stage.canvas.stencil().line([(x, top - 10), (x * 0.8 + outer * 0.2, hem - 4)], 3)
        stage.canvas.lay(crease, mix(cloth, (0, 0, 0), 0.45), opacity=0.5, ink=0, fine=True)


def _furniture(stage: Stage, wall: Colour) -> None:
    palette = stage.palette
    x, size = stage.subject_x * stage.width, stage.height
    top, floor = size * 0.69, size * 0.93
    half = stage.width * 0.115
    wood = mix(mix(wall, _hex("#23130f"), 0.62), palette.lamp, 0.08)
    _picture(stage, x, wall)
    stage.canvas.glow(
        x - half * 0.35,
        top - size * 0.13,
        size * 0.62,
        palette.lamp,
        0.55 if palette.is_dark else 0.16,
    )
    chair_x = x + half * (1.0 if not stage.light_is_right else -1.0)
    _chair(stage, chair_x, floor, size * 0.4, wood)
    table = stage.canvas.stencil().rectangle(x - half, top, x + half, top + size * 0.03)
    table.rectangle(x - half * 0.92, top, x + half * 0.92, top + size * 0.065)
    for side in (-0.9, 0.82):
        table.rectangle(x + half * side, top, x + half * (side + 0.08), floor)
    stage.canvas.lay(table, wood, mix(wood, (0, 0, 0), 0.3), ink=2, fine=True)
    _lamp(stage, x - half * 0.35, top, size * 0.2)
    things = stage.canvas.stencil()
    things.rectangle(x + half * 0.2, top - size * 0.022, x + half * 0.62, top)
    things.rectangle(x + half * 0.25, top - size * 0.04, x + half * 0.58, top - size * 0.024)
    stage.canvas.lay(things, mix(palette.accent, wood, 0.25), ink=1, fine=True)
    cup = stage.canvas.stencil().rectangle(x - half * 0.02, top - size * 0.04, x + half * 0.1, top)
    stage.canvas.lay(cup, mix(wall, (255, 246, 228), 0.7), ink=1, fine=True)


def _chair(stage: Stage, x: float, floor: float, size: float, wood: Colour) -> None:
    tone = mix(wood, (0, 0, 0), 0.3)
    chair = stage.canvas.stencil()
    half = size * 0.2
    for side in (-1, 1):
        post = x + side * half
        chair.rectangle(post - size * 0.022, floor - size, post + size * 0.022, floor)
    for rung in (0.97, 0.84, 0.71):
        chair.rectangle(x - half, floor - size * rung, x + half, floor - size * (rung - 0.06))
    chair.rectangle(x - half * 1.15, floor - size * 0.5, x + half * 1.15, floor - size * 0.44)
    chair.rectangle(x - half, floor - size * 0.22, x + half, floor - size * 0.19)
    stage.canvas.lay(chair, tone, ink=2, fine=True)


def _lamp(stage: Stage, x: float, base: float, size: float) -> None:
    palette = stage.palette
    box: Box = (int(x - size), int(base - size * 1.2), int(x + size), int(base + 4))
    foot = stage.canvas.stencil(box)
    foot.rectangle(x - size * 0.035, base - size * 0.55, x + size * 0.035, base)
    foot.ellipse(x, base - size * 0.02, size * 0.17, size * 0.05)
    foot.ellipse(x, base - size * 0.22, size * 0.09, size * 0.11)
    stage.canvas.lay(foot, mix(palette.lamp, _hex("#5a3417"), 0.6), ink=1, fine=True)
    shade = stage.canvas.stencil(box).polygon(
        [
            (x - size * 0.16, base - size * 0.92),
            (x + size * 0.16, base - size * 0.92),
            (x + size * 0.33, base - size * 0.46),
            (x - size * 0.33, base - size * 0.46),
        ]
    )
    bright = mix(palette.lamp, (255, 255, 255), 0.45 if palette.is_dark else 0.2)
    stage.canvas.lay(shade, bright, palette.lamp, ink=2, fine=True)


def _picture(stage: Stage, x: float, wall: Colour) -> None:
    wide, tall = stage.width * 0.075, stage.height * 0.13
    y = stage.height * 0.3
    frame = stage.canvas.stencil().rectangle(x - wide, y - tall, x + wide, y + tall)
    stage.canvas.lay(frame, mix(wall, (0, 0, 0), 0.5), ink=2, fine=True)
    inset = 0.86
    sky = stage.canvas.stencil().rectangle(
        x - wide * inset, y - tall * inset, x + wide * inset, y + tall * inset
    )
    stage.canvas.lay(
        sky,
        mix(stage.palette.haze, wall, 0.35),
        mix(stage.palette.light, wall, 0.45),
        ink=0,
        fine=True,
    )
    hill = stage.canvas.stencil().polygon(
        [
            (x - wide * inset, y + tall * inset),
            (x - wide * inset, y + tall * 0.35),
            (x - wide * 0.2, y - tall * 0.2),
            (x + wide * 0.3, y + tall * 0.3),
            (x + wide * inset, y + tall * 0.05),
            (x + wide * inset, y + tall * inset),
        ]
    )
    stage.canvas.lay(hill, mix(wall, stage.palette.depth(0.6), 0.5), ink=0, fine=True)
