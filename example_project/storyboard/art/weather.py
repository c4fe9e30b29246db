"""Let it rain, snow, mist over or flash in front of a finished landscape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ImageChops

from example_project.storyboard.art.palette import mix
from example_project.storyboard.art.texture import dimmed
from session_mgmt.schemas import MediaType

if TYPE_CHECKING:
    from example_project.storyboard.art.stage import Stage
    from example_project.storyboard.art.stencil import Box, Point

__all__ = ["draw_lightning", "draw_weather"]


def draw_weather(stage: Stage, box: Box | None = None) -> None:
    """Draw what falls or drifts, over the whole picture or only inside a box."""
    weather = stage.scenery.weather
    whole = box or (0, 0, stage.width, stage.height)
    if weather in {"rain", "storm"}:
        _rain(stage, whole, 1.0 if weather == "storm" else 0.7)
    elif weather == "snow":
        _snow(stage, whole)
    elif weather == "fog":
        tone = mix(stage.palette.haze, stage.palette.light, 0.5)
        for low, opacity in ((0.62, 0.4), (0.82, 0.5), (1.0, 0.35)):
            stage.canvas.veil(stage.height * (low - 0.3), stage.height * low, tone, opacity)


def draw_lightning(stage: Stage) -> None:
    """Draw a bolt on the light's side of the sky."""
    x, y = stage.light_x * stage.width, 0.0
    low = stage.height * stage.horizon
    stage.canvas.glow(x, low * 0.25, stage.height * 0.75, stage.palette.light, 0.5)
    trunk: list[Point] = [(x, y)]
    while y < low * 0.96:
        y += low * stage.rng.uniform(0.07, 0.14)
        x += stage.width * stage.rng.uniform(-0.02, 0.022)
        trunk.append((x, min(y, low * 0.97)))
    fork_x, fork_y = trunk[len(trunk) // 2]
    fork: list[Point] = [(fork_x, fork_y)]
    for _ in range(3):
        fork_x += stage.width * stage.rng.uniform(0.012, 0.03)
        fork_y += low * stage.rng.uniform(0.05, 0.09)
        fork.append((fork_x, fork_y))
    bolt = stage.canvas.stencil().line(trunk, 3.2).line(fork, 1.8)
    stage.canvas.lay(bolt, (255, 252, 236), ink=1, fine=True)


def _rain(stage: Stage, box: Box, strength: float) -> None:
    drops = stage.canvas.stencil(box)
    area = (box[2] - box[0]) * (box[3] - box[1]) / (stage.width * stage.height)
    slant = 0.26 if not stage.light_is_right else -0.26
    for _ in range(round(260 * strength * area)):
        x = stage.rng.uniform(box[0] - 40, box[2] + 40)
        y = stage.rng.uniform(box[1] - 20, box[3])
        length = stage.height * stage.rng.uniform(0.03, 0.085)
        drops.line([(x, y), (x - slant * length, y + length)], stage.rng.choice((0.6, 0.6, 1.0)))
    tone = mix(stage.palette.light, stage.palette.haze, 0.3)
    stage.canvas.lay(drops, tone, opacity=0.36, ink=0, fine=True)


def _snow(stage: Stage, box: Box) -> None:
    area = (box[2] - box[0]) * (box[3] - box[1]) / (stage.width * stage.height)
    for count, size, opacity in ((190, 1.1, 0.6), (90, 2.0, 0.75), (26, 3.6, 0.7)):
        flakes = stage.canvas.stencil(box)
        for _ in range(round(count * area)):
            x = stage.rng.uniform(box[0], box[2])
            y = stage.rng.uniform(box[1], box[3])
            radius = size * stage.rng.uniform(0.7, 1.3)
            flakes.ellipse(x, y, radius, radius)
        mask = flakes.mask()
        if stage.canvas.media_type is MediaType.WATERCOLOR:
            mask = ImageChops.multiply(mask, mask)
        stage.canvas.image.paste((252, 253, 255), flakes.box[:2], dimmed(mask, opacity))
