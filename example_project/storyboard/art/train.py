"""Draw a steam train that crosses the picture, with lit windows at night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from example_project.storyboard.art.palette import mix
from example_project.storyboard.art.stencil import Spot, block

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage

__all__ = ["draw_train"]

_CARRIAGES: Final = 5
_CARRIAGE: Final = (block(-0.78, 0.12, 0.78, 0.74), block(-0.82, 0.72, 0.82, 0.8))
_ENGINE: Final = (
    block(-0.75, 0.14, -0.3, 0.92),
    block(-0.82, 0.9, -0.22, 1.0),
    block(-0.4, 0.2, 0.5, 0.66),
    [(0.24, 0.6), (0.18, 1.0), (0.46, 1.0), (0.4, 0.6)],
    [(0.5, 0.22), (0.78, 0.0), (0.4, 0.0)],
)


def draw_train(stage: Stage, base: float, size: float) -> None:
    """Draw the train with its engine ahead on the light's side; in pixels."""
    palette = stage.palette
    way = 1 if stage.light_is_right else -1
    engine = Spot(stage.width * (0.5 + way * 0.22), base, size, way)
    track = stage.canvas.stencil().rectangle(-4, base, stage.width + 4, base + size * 0.09)
    stage.canvas.lay(track, mix(palette.near, palette.ink, 0.5), ink=0, fine=True)
    _smoke(stage, engine)
    cars, panes, wheels = (stage.canvas.stencil(_strip(stage, engine)) for _ in range(3))
    for number in range(1, _CARRIAGES + 1):
        car = Spot(engine.at(-1.7 * number - 0.12, 0.0)[0], base, size)
        cars.form(car, *_CARRIAGE)
        for pane in range(5):
            left = -0.66 + pane * 0.28
            panes.form(car, block(left, 0.36, left + 0.18, 0.6))
        for wheel in (-0.55, -0.3, 0.3, 0.55):
            wheels.disc(car, wheel, 0.08, 0.09, 0.09)
    for wheel, wide in ((-0.5, 0.16), (-0.14, 0.16), (0.2, 0.12)):
        wheels.disc(engine, wheel, wide * 0.8, wide, wide)
    iron = mix(palette.depth(0.9), palette.ink, 0.6)
    paint = mix(iron, palette.near, 0.3 if palette.is_dark else 0.0)
    painted = mix(paint, palette.accent, 0.5), mix(paint, palette.accent, 0.3)
    stage.canvas.lay(cars, *painted, ink=2, fine=True)
    stage.canvas.lay(panes, palette.lamp if palette.is_dark else palette.sky[-1], ink=1, fine=True)
    boiler = stage.canvas.stencil(_strip(stage, engine)).form(engine, *_ENGINE)
    boiler.disc(engine, 0.5, 0.43, 0.1, 0.23).disc(engine, -0.04, 0.66, 0.11, 0.11)
    stage.canvas.lay(boiler, mix(palette.depth(1.0), palette.ink, 0.75), ink=2, fine=True)
    stage.canvas.lay(wheels, palette.ink, ink=0, fine=True)
    if palette.is_dark:
        stage.canvas.glow(*engine.at(0.62, 0.45), size * 1.5, palette.lamp, 0.6)


def _strip(stage: Stage, engine: Spot) -> tuple[float, float, float, float]:
    return 0, engine.base - engine.size * 1.2, stage.width, engine.base + engine.size * 0.2


def _smoke(stage: Stage, engine: Spot) -> None:
    tone = mix(stage.palette.haze, stage.palette.light, 0.45)
    for puff in range(9):
        share = puff / 9
        x, y = engine.at(0.3 - 4.4 * share, 1.2 + 0.85 * share**0.7)
        spot = Spot(x + stage.rng.uniform(-4, 4), y, engine.size * (0.16 + 0.34 * share))
        cloud = stage.canvas.stencil(spot.box(1.3, 1.0, 1.0)).disc(spot, 0.0, 0.0, 1.15, 0.85)
        stage.canvas.lay(cloud, tone, opacity=0.72 * (1 - share) + 0.06, ink=0, fine=True)
