"""Give a finished picture the look of its medium: film grading, paper grain, a soft vignette."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

from example_project.storyboard.art.palette import Colour
from example_project.storyboard.art.texture import noise

if TYPE_CHECKING:
    from random import Random

__all__ = ["PAPER", "graded", "on_paper"]

PAPER: Final[Colour] = (250, 246, 236)


def graded(picture: Image.Image) -> Image.Image:
    """Return the picture with teal shadows, orange lights and darker corners."""
    curve: list[int] = []
    for shadow, light in ((-10, 12), (3, 1), (14, -16)):
        for value in range(256):
            share = value / 255
            # A gentle S: contrast in the middle, nothing lost at the ends.
            bent = share + 0.10 * (share - 0.5) * (1 - (2 * share - 1) ** 2) * 2
            tint = shadow * (1 - share) ** 2 * min(1.0, share * 5) + light * share**2
            curve.append(max(0, min(255, round(bent * 255 + tint))))
    toned = picture.point(curve)
    corners = Image.radial_gradient("L").resize(picture.size, Image.Resampling.BICUBIC)
    shade = corners.point(
        [round(max(0.0, value / 255 - 0.45) ** 1.6 * 230) for value in range(256)]
    )
    toned.paste((4, 8, 14), (0, 0), shade)
    return toned


def on_paper(
    picture: Image.Image, size: tuple[int, int], at: tuple[int, int], rng: Random
) -> Image.Image:
    """Return a sheet of paper of `size` with the picture painted at `at`, edges running."""
    sheet = Image.new("RGB", size, PAPER)
    margin = 26
    shape = Image.new("L", picture.size)
    shape.paste(255, (margin, margin, picture.width - margin, picture.height - margin))
    soft = shape.resize((picture.width // 8, picture.height // 8), Image.Resampling.BOX)
    soft = soft.resize(picture.size, Image.Resampling.BICUBIC)
    edge = Image.blend(noise(rng, picture.size, 46), noise(rng, picture.size, 11), 0.45)
    rough = Image.blend(soft, edge, 0.36)
    mask = rough.point([max(0, min(255, (value - 112) * 6)) for value in range(256)])
    sheet.paste(picture, at, mask)
    return _grained(sheet, rng)


def _grained(sheet: Image.Image, rng: Random) -> Image.Image:
    # Three levels only: finer grain would double the size of the file and not be seen.
    grain = noise(rng, sheet.size, 4).point([249 + value // 86 * 3 for value in range(256)])
    return ImageChops.multiply(sheet, Image.merge("RGB", (grain, grain, grain)))
