"""Draw what is above the horizon: the sky, stars, sun or moon, and clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from example_project.storyboard.art.palette import mix
from example_project.storyboard.art.texture import gradient, halftone
from session_mgmt.schemas import MediaType

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage

__all__ = ["draw_sky"]

_HEIGHTS = {"dawn": 0.78, "day": 0.3, "dusk": 0.84, "night": 0.34}


def draw_sky(stage: Stage) -> None:
    """Draw the sky over the whole picture."""
    canvas, palette = stage.canvas, stage.palette
    low = max(2, round(stage.height * (stage.horizon + 0.08)))
    if stage.canvas.is_inked:
        canvas.image.paste(palette.sky[-2], (0, 0, stage.width, stage.height))
        ramp = gradient((stage.width, low), ((235, 235, 235), (20, 20, 20))).getchannel(0)
        canvas.image.paste(palette.sky[0], (0, 0), halftone(ramp, (0, 0)))
    else:
        canvas.image.paste(palette.sky[-1], (0, 0, stage.width, stage.height))
        canvas.image.paste(gradient((stage.width, low), palette.sky), (0, 0))
    if canvas.media_type is MediaType.WATERCOLOR:
        _let_washes_run(stage)
    is_open = stage.scenery.weather in {"clear", "snow"}
    if stage.scenery.time == "night" and is_open:
        _stars(stage)
    if is_open or stage.scenery.weather == "fog":
        _sun_or_moon(stage)
    _clouds(stage)


def _let_washes_run(stage: Stage) -> None:
    paper = stage.canvas.stencil().rectangle(0, 0, stage.width, stage.height * 0.7)
    sky = stage.palette.sky
    stage.canvas.lay(paper, sky[0], mix(sky[-1], (255, 255, 255), 0.2), opacity=0.45)


def _stars(stage: Stage) -> None:
    count = 46 if stage.canvas.is_inked else 110
    for _ in range(count):
        x = stage.rng.uniform(0, stage.width)
        y = stage.height * stage.horizon * stage.rng.random() ** 1.5
        size = stage.rng.choice((0.6, 0.8, 0.8, 1.1, 1.7))
        star = stage.canvas.stencil((x - 4, y - 4, x + 4, y + 4)).ellipse(x, y, size, size)
        faint = stage.rng.uniform(0.35, 0.95) * (1 - 0.6 * y / stage.height)
        stage.canvas.lay(star, stage.palette.light, opacity=faint, ink=0, fine=True)


def _sun_or_moon(stage: Stage) -> None:
    canvas, palette = stage.canvas, stage.palette
    x = stage.light_x * stage.width
    y = stage.horizon * stage.height * _HEIGHTS[stage.scenery.time]
    is_night = stage.scenery.time == "night"
    size = stage.height * (0.052 if is_night else 0.07)
    faint = 0.45 if stage.scenery.weather != "clear" else 1.0
    canvas.glow(x, y, size * (7 if is_night else 9), palette.light, 0.5 * faint)
    disc = canvas.stencil((x - size * 2, y - size * 2, x + size * 2, y + size * 2))
    disc.ellipse(x, y, size, size)
    if is_night:
        disc.ellipse(x + size * 0.42, y - size * 0.2, size * 0.84, size * 0.84, 0)
    canvas.lay(disc, palette.light, opacity=0.55 + 0.45 * faint, ink=2, fine=True)


def _clouds(stage: Stage) -> None:
    weather = stage.scenery.weather
    heavy = weather in {"rain", "storm"}
    puffy = stage.canvas.media_type in {MediaType.ANIMATION, MediaType.COMIC}
    if weather == "fog":
        return
    palette = stage.palette
    bright = mix(palette.sky[-1], palette.light, 0.75)
    if stage.scenery.time == "night":
        bright = mix(palette.sky[1], palette.sky[-1], 0.55)
    if heavy:
        bright = mix(palette.sky[1], palette.sky[-1], 0.45)
    shade = mix(bright, palette.sky[-2], 0.7)
    count = 5 if heavy else 3
    for number in range(count):
        x = stage.width * ((number + stage.rng.uniform(0.1, 0.9)) / count)
        y = stage.height * stage.horizon * stage.rng.uniform(0.16, 0.62)
        if heavy:
            y *= 0.5
        reach = stage.width * stage.rng.uniform(0.08, 0.15) * (1.5 if heavy else 1.0)
        light = stage.light_x * stage.width
        if abs(x - light) < reach and not heavy:
            # A cloud may touch sun or moon, not hide them.
            x = light + (reach if x > light else -reach) * 1.15
        flat = 0.36 if puffy else 0.13
        _cloud(stage, (x, y), reach, flat, (bright, shade, 0.95 if puffy else 0.62))


def _cloud(
    stage: Stage,
    at: tuple[float, float],
    reach: float,
    flat: float,
    look: tuple[tuple[int, int, int], tuple[int, int, int], float],
) -> None:
    x, y = at
    box = (x - reach * 1.3, y - reach * 0.8, x + reach * 1.3, y + reach * 0.4)
    cloud = stage.canvas.stencil(box)
    for part in range(6):
        along = -0.8 + 1.6 * part / 5
        size = reach * (0.52 - 0.3 * abs(along)) * stage.rng.uniform(0.8, 1.15)
        cloud.ellipse(x + along * reach, y - size * flat * 0.7, size, size * flat * 1.5)
    # A flat underside, as if all clouds lay on the same sheet of air.
    cloud.rectangle(x - reach * 1.3, y + reach * flat * 0.24, x + reach * 1.3, y + reach, 0)
    stage.canvas.lay(cloud, look[0], look[1], opacity=look[2], ink=2)
