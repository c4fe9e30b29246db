"""Compose a scene: what stands where, by the rule of thirds, for each kind of place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from example_project.storyboard.art.interior import draw_room, window_box
from example_project.storyboard.art.land import (
    draw_corner_firs,
    draw_desert,
    draw_forest,
    draw_grass,
    draw_meadow,
    draw_mountains,
    layer,
)
from example_project.storyboard.art.landmarks import draw_boat, draw_fire, draw_lighthouse
from example_project.storyboard.art.people import draw_birds, draw_people
from example_project.storyboard.art.plants import draw_palm, draw_tree
from example_project.storyboard.art.sky import draw_sky
from example_project.storyboard.art.stage import Stage
from example_project.storyboard.art.town import (
    draw_desert_town,
    draw_house,
    draw_stalls,
    draw_town,
)
from example_project.storyboard.art.train import draw_train
from example_project.storyboard.art.water import draw_sea
from example_project.storyboard.art.weather import draw_lightning, draw_weather

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from example_project.storyboard.art.canvas import Canvas
    from example_project.storyboard.art.scenery import Scenery

__all__ = ["draw_landscape"]

_HORIZONS: Final = {"sea": 0.56, "town": 0.5, "desert": 0.52, "mountains": 0.5, "home": 0.5}


def draw_landscape(canvas: Canvas, scenery: Scenery, rng: Random) -> None:
    """Fill the canvas with the scenery: the light on one third, the subject on the other."""
    light_is_right = rng.choice((False, True))
    light_x = rng.uniform(0.64, 0.74) if light_is_right else rng.uniform(0.26, 0.36)
    subject_x = rng.uniform(0.24, 0.32) if light_is_right else rng.uniform(0.68, 0.76)
    horizon = _HORIZONS.get(scenery.place, 0.54) + rng.uniform(-0.06, 0.04)
    stage = Stage(canvas, scenery, rng, light_is_right, light_x, subject_x, horizon)
    draw_sky(stage)
    if scenery.weather == "storm":
        draw_lightning(stage)
    _PLACES[scenery.place](stage)
    if "birds" in scenery.details and scenery.place != "home":
        draw_birds(stage)
    if scenery.place != "home":
        draw_weather(stage)


def _sea(stage: Stage) -> None:
    draw_sea(stage)
    x, base = stage.subject_x * stage.width, stage.height * 0.88
    if "lighthouse" in stage.scenery.details:
        edge = 0.13 if stage.light_is_right else 0.87
        draw_lighthouse(stage, edge * stage.width, base, stage.height * 0.72)
    if "boat" in stage.scenery.details or "lighthouse" not in stage.scenery.details:
        boat_x = stage.width * (stage.light_x + (0.1 if not stage.light_is_right else -0.1))
        draw_boat(stage, boat_x, stage.height * (stage.horizon + 0.15), stage.height * 0.17)
    draw_people(stage, x, stage.height * 0.965, stage.height * 0.16)


def _forest(stage: Stage) -> None:
    draw_forest(stage)
    x, base = stage.light_x * stage.width, stage.height * 0.95
    if "train" in stage.scenery.details:
        draw_train(stage, stage.height * 0.93, stage.height * 0.17)
        return
    if "fire" in stage.scenery.details:
        draw_fire(stage, x + stage.height * 0.14, base, stage.height * 0.11)
    elif "house" in stage.scenery.details:
        draw_house(stage, stage.subject_x * stage.width, base - 14, stage.height * 0.2, 0.8)
    draw_people(stage, x, base, stage.height * 0.2)


def _meadow(stage: Stage) -> None:
    draw_meadow(stage)
    draw_grass(stage)
    x, low = stage.subject_x * stage.width, stage.height
    if "train" in stage.scenery.details:
        draw_train(stage, low * 0.84, low * 0.15)
        return
    if "house" in stage.scenery.details:
        draw_house(stage, x, low * 0.8, low * 0.2, 0.62)
    else:
        draw_tree(stage, x, low * 0.86, low * 0.42, 0.78)
    if "fire" in stage.scenery.details:
        draw_fire(stage, stage.light_x * stage.width + low * 0.16, low * 0.93, low * 0.1)
    draw_people(stage, stage.width * 0.5, low * 0.93, low * 0.17)


def _mountains(stage: Stage) -> None:
    draw_mountains(stage)
    draw_corner_firs(stage)
    x, low = stage.subject_x * stage.width, stage.height
    if "train" in stage.scenery.details:
        draw_train(stage, low * 0.92, low * 0.15)
        return
    if "house" in stage.scenery.details:
        draw_house(stage, x, low * 0.88, low * 0.17, 0.8)
    if "fire" in stage.scenery.details:
        draw_fire(stage, stage.light_x * stage.width + low * 0.15, low * 0.95, low * 0.1)
    draw_people(stage, stage.light_x * stage.width, low * 0.95, low * 0.17)


def _desert(stage: Stage) -> None:
    draw_desert(stage)
    x, low = stage.subject_x * stage.width, stage.height
    if "market" in stage.scenery.details:
        draw_desert_town(stage)
        draw_stalls(stage, 0.95)
    elif "town" in stage.scenery.details:
        draw_desert_town(stage)
        draw_palm(stage, x, low * 0.96, low * 0.46)
        draw_palm(stage, x + stage.width * 0.05, low * 0.95, low * 0.34)
    else:
        for shift, size in ((-0.03, 0.36), (0.025, 0.46), (0.07, 0.3)):
            draw_palm(stage, x + shift * stage.width, low * 0.9, low * size)
    if "fire" in stage.scenery.details:
        draw_fire(stage, stage.light_x * stage.width + low * 0.15, low * 0.95, low * 0.1)
    draw_people(stage, stage.width * 0.52, low * 0.93, low * 0.17)


def _town(stage: Stage) -> None:
    draw_town(stage)
    if "market" in stage.scenery.details:
        draw_stalls(stage, 0.93)
    draw_people(stage, stage.width * 0.5, stage.height * 0.96, stage.height * 0.19)


def _home(stage: Stage) -> None:
    layer(stage, stage.hills(0.46, 0.06, 1.2), 0.2)
    layer(stage, stage.hills(0.56, 0.05, 1.4), 0.45, 30, stage.height * 0.09)
    left, top, right, low = window_box(stage)
    draw_weather(stage, (int(left), int(top), int(right), int(low)))
    draw_room(stage)


_PLACES: Final[Mapping[str, Callable[[Stage], None]]] = {
    "sea": _sea,
    "forest": _forest,
    "town": _town,
    "desert": _desert,
    "mountains": _mountains,
    "home": _home,
    "meadow": _meadow,
}
