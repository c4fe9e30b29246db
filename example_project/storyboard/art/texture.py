"""Make what fills a shape: gradients, clouds of noise, printed dots and soft halos."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

from example_project.storyboard.art.palette import Colour, mix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

__all__ = ["dimmed", "gradient", "halftone", "halo", "noise"]

_DOT: Final = 10


def dimmed(mask: Image.Image, share: float) -> Image.Image:
    """Return the mask with all its values times `share`, up to 255."""
    return mask.point(_curve(round(share, 2)))


@lru_cache(maxsize=256)
def _curve(share: float) -> list[int]:
    return [min(255, round(value * share)) for value in range(256)]


def gradient(size: tuple[int, int], tones: Sequence[Colour]) -> Image.Image:
    """Return a picture that runs through the colours from top to bottom."""
    column = Image.new("RGB", (1, size[1]))
    last = len(tones) - 1
    rows = []
    for row in range(size[1]):
        at = row / max(1, size[1] - 1) * last
        index = min(int(at), last - 1)
        rows.append(mix(tones[index], tones[index + 1], at - index))
    column.putdata(rows)
    return column.resize(size, Image.Resampling.NEAREST)


def noise(rng: Random, size: tuple[int, int], cell: int) -> Image.Image:
    """Return smooth random clouds of grey, about `cell` pixels wide."""
    small = size[0] // cell + 3, size[1] // cell + 3
    field = Image.frombytes("L", small, rng.randbytes(small[0] * small[1]))
    return field.resize(size, Image.Resampling.BICUBIC)


def halftone(ramp: Image.Image, at: tuple[int, int]) -> Image.Image:
    """Return dots that are the larger the lighter `ramp` is; `at` keeps the grid in place."""
    tile = _dots()
    shifted = ImageChops.offset(tile, -(at[0] % _DOT), -(at[1] % _DOT))
    grid = shifted.crop((0, 0, *ramp.size)) if ramp.width <= tile.width else shifted
    summed = ImageChops.add(ramp, grid, 1, -255)
    return summed.point([min(255, value * 9) for value in range(256)])


@cache
def halo() -> Image.Image:
    """Return a round mask that fades from its middle to nothing."""
    curve = [round(255 * max(0.0, 1 - value / 255) ** 2.2) for value in range(256)]
    # Pillow's gradient ends in the corners; a halo must end at the edges.
    ends = Image.radial_gradient("L").point(lambda value: min(255, value * 2**0.5))
    return ends.point(curve)


@cache
def _dots() -> Image.Image:
    tile = Image.new("L", (_DOT, _DOT))
    half = _DOT / 2
    for x in range(_DOT):
        for y in range(_DOT):
            dx, dy = x + 0.5 - half, y + 0.5 - half
            # A second dot at each corner turns the grid by 45 degrees.
            corner = min(
                ((x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2) ** 0.5
                for cx in (0, _DOT)
                for cy in (0, _DOT)
            )
            near = min((dx * dx + dy * dy) ** 0.5, corner)
            tile.putpixel((x, y), round(255 * (1 - near / half)))
    grid = Image.new("L", (1280 + _DOT, 720 + _DOT))
    for x in range(0, grid.width, _DOT):
        for y in range(0, grid.height, _DOT):
            grid.paste(tile, (x, y))
    return grid
