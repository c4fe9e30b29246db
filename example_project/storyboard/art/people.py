"""Draw what gives a landscape its scale: people on the ground, birds in the air."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from example_project.storyboard.art.palette import mix
from example_project.storyboard.art.stencil import Spot

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage

__all__ = ["draw_birds", "draw_people", "draw_person"]

_COAT: Final = (
    ((-0.09, 0.22), (-0.02, 0.22), (-0.025, 0.0), (-0.1, 0.0)),
    ((0.015, 0.22), (0.085, 0.22), (0.105, 0.0), (0.03, 0.0)),
    (
        (-0.05, 0.83),
        (0.05, 0.83),
        (0.12, 0.775),
        (0.13, 0.55),
        (0.165, 0.15),
        (-0.165, 0.15),
        (-0.13, 0.55),
        (-0.12, 0.775),
    ),
    ((0.07, 0.77), (0.12, 0.775), (0.2, 0.52), (0.225, 0.42), (0.175, 0.41), (0.13, 0.54)),
    ((-0.07, 0.77), (-0.12, 0.775), (-0.165, 0.55), (-0.155, 0.4), (-0.11, 0.4), (-0.1, 0.55)),
)
_SCARF: Final = (
    ((-0.085, 0.83), (0.085, 0.835), (0.09, 0.785), (-0.09, 0.775)),
    (
        (-0.05, 0.83),
        (-0.16, 0.8),
        (-0.24, 0.815),
        (-0.34, 0.77),
        (-0.33, 0.73),
        (-0.23, 0.765),
        (-0.15, 0.75),
        (-0.05, 0.785),
    ),
)
_ALONE: Final = ((0.0, 1.0, True),)
_TOGETHER: Final = ((-0.75, 0.9, False), (0.0, 1.0, True), (0.48, 0.74, True))
_WINGS: Final = ((-1.3, 0.1), (-0.6, 0.55), (0.0, 0.0), (0.6, 0.55), (1.3, 0.1))


def draw_people(stage: Stage, x: float, base: float, size: float) -> None:
    """Draw one person, or three where the story has a crowd; in pixels."""
    group = _TOGETHER if "crowd" in stage.scenery.details else _ALONE
    for shift, part, scarf in group:
        draw_person(stage, x + shift * size, base, size * part, scarf=scarf)


def draw_person(stage: Stage, x: float, base: float, size: float, *, scarf: bool = True) -> None:
    """Draw a person in a long coat who looks to the light, with a lantern when it is dark."""
    palette = stage.palette
    spot = Spot(x, base, size, stage.towards_light(x))
    box = spot.box(1.0, 1.1)
    if palette.is_dark:
        stage.canvas.glow(*spot.at(0.2, 0.36), size * 0.9, palette.lamp, 0.6)
    stage.shadow(spot, 0.24)
    body = stage.canvas.stencil(box).form(spot, *_COAT).disc(spot, 0.01, 0.9, 0.072, 0.088)
    coat = mix(mix(palette.wood, palette.near, 0.15), palette.ink, 0.62)
    stage.canvas.lay(body, coat, mix(coat, palette.ink, 0.4), ink=2, fine=True)
    if scarf:
        wrap = stage.canvas.stencil(box).form(spot, *_SCARF)
        stage.canvas.lay(wrap, palette.accent, ink=1, fine=True)
    if palette.is_dark:
        light = stage.canvas.stencil(box).disc(spot, 0.2, 0.36, 0.036, 0.055)
        stage.canvas.lay(light, mix(palette.lamp, (255, 255, 255), 0.55), ink=1, fine=True)


def draw_birds(stage: Stage) -> None:
    """Draw a loose flight of birds in the open part of the sky."""
    tone = mix(stage.palette.wood, stage.palette.ink, 0.55)
    middle = stage.width * (0.5 + (stage.subject_x - 0.5) * 0.3)
    for number in range(7):
        x = middle + (number - 3) * stage.width * 0.026 + stage.rng.uniform(-9, 9)
        rise = 0.035 * abs(number - 2) + stage.rng.uniform(-0.02, 0.02)
        y = stage.height * (stage.horizon * 0.5 + rise)
        spot = Spot(x, y, stage.height * stage.rng.uniform(0.014, 0.026))
        bird = stage.canvas.stencil(spot.box(2, 2, 2))
        bird.line([spot.at(*point) for point in _WINGS], 2.0)
        stage.canvas.lay(bird, tone, ink=0, fine=True)
