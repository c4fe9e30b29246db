"""Lay shapes on a picture the way a medium does: smooth, inked with dots, flat, or washed."""

from __future__ import annotations

from math import pi, sin
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageFilter

from example_project.storyboard.art.palette import Colour, Palette, mix
from example_project.storyboard.art.stencil import Box, Stencil
from example_project.storyboard.art.texture import dimmed, gradient, halftone, halo, noise
from session_mgmt.schemas import MediaType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

__all__ = ["Canvas"]

# The steep part of the curve makes an edge out of blur and noise.
_EDGE: Final = [max(0, min(255, (value - 108) * 7)) for value in range(256)]


class Canvas:
    """A picture in the making."""

    def __init__(
        self, size: tuple[int, int], media_type: MediaType, palette: Palette, rng: Random
    ) -> None:
        self.size = self.width, self.height = size
        self.media_type = media_type
        self.palette = palette
        self.rng = rng
        self.image = Image.new("RGB", size, palette.sky[-1])
        if media_type is MediaType.WATERCOLOR:
            self._wobble = Image.blend(noise(rng, size, 9), noise(rng, size, 40), 0.4)
            blotches = Image.blend(noise(rng, size, 150), noise(rng, size, 36), 0.3)
            self._pigment = blotches.point([170 + value // 3 for value in range(256)])
            self._flow = blotches.point([max(0, value - 128) * 4 // 5 for value in range(256)])

    @property
    def is_inked(self) -> bool:
        """Tell whether shapes have outlines."""
        return self.media_type is MediaType.COMIC

    def stencil(self, box: Sequence[float] | None = None) -> Stencil:
        """Return an empty stencil for the whole picture, or for the part of it in `box`."""
        if box is None:
            return Stencil((0, 0, self.width, self.height))
        left, top = max(0, int(box[0])), max(0, int(box[1]))
        right, low = min(self.width, int(box[2]) + 1), min(self.height, int(box[3]) + 1)
        return Stencil((left, top, max(left + 1, right), max(top + 1, low)))

    def lay(
        self,
        stencil: Stencil,
        top: Colour,
        bottom: Colour | None = None,
        *,
        opacity: float = 1.0,
        ink: float = 3,
        fine: bool = False,
    ) -> None:
        """Lay a colour, or one that changes downwards, through a stencil.

        Args:
            stencil: the shape.
            top: the colour, or the colour at the upper end.
            bottom: the colour at the lower end.
            opacity: 0 to 1.
            ink: width of the outline, in media that have one.
            fine: a small shape that texture would spoil.
        """
        mask, box = stencil.trimmed(margin=4)
        if mask is None:
            return
        tones = top, bottom or top
        if self.media_type is MediaType.WATERCOLOR:
            self._wash(mask, box, tones, opacity=opacity, fine=fine)
        elif self.is_inked:
            self._print(mask, box, tones, opacity=opacity, ink=ink, fine=fine)
        else:
            if self.media_type is MediaType.ANIMATION:
                tones = top, mix(*tones, 0.45)
            self._fill(mask, box, tones, opacity)

    def glow(self, x: float, y: float, radius: float, tone: Colour, strength: float) -> None:
        """Lighten a round part of the picture around a source of light."""
        side = max(2, round(2 * radius))
        at = round(x - radius), round(y - radius)
        mask = halo().resize((side, side), Image.Resampling.BICUBIC)
        if self.is_inked:
            dots = halftone(dimmed(mask, 0.8), at)
            self._tint(dots, at, tone, min(1.0, strength * 1.1))
        else:
            self._tint(mask, at, tone, strength)

    def veil(self, top: float, bottom: float, tone: Colour, opacity: float) -> None:
        """Lay mist between two heights, densest below their middle."""
        height = max(2, round(bottom - top))
        column = Image.new("L", (1, height))
        rows = ((row / height) ** 1.3 for row in range(height))
        column.putdata([round(255 * opacity * sin(pi * share)) for share in rows])
        self.image.paste(tone, (0, round(top)), column.resize((self.width, height)))

    def _tint(self, mask: Image.Image, at: tuple[int, int], tone: Colour, strength: float) -> None:
        self.image.paste(tone, at, dimmed(mask, strength))

    def _fill(
        self, mask: Image.Image, box: Box, tones: tuple[Colour, Colour], opacity: float
    ) -> None:
        if opacity < 1:
            mask = dimmed(mask, opacity)
        body = tones[0] if tones[0] == tones[1] else gradient(mask.size, tones)
        self.image.paste(body, box[:2], mask)

    def _print(
        self,
        mask: Image.Image,
        box: Box,
        tones: tuple[Colour, Colour],
        *,
        opacity: float,
        ink: float,
        fine: bool,
    ) -> None:
        if ink:
            self.image.paste(self.palette.ink, box[:2], _swollen(mask, round(ink)))
        self._fill(mask, box, (tones[0], tones[0]), opacity)
        if fine or tones[0] == tones[1]:
            return
        ramp = gradient(mask.size, ((0, 0, 0), (190, 190, 190))).getchannel(0)
        dots = ImageChops.multiply(halftone(ramp, box[:2]), mask)
        self._tint(dots, box[:2], tones[1], opacity)

    def _wash(
        self,
        mask: Image.Image,
        box: Box,
        tones: tuple[Colour, Colour],
        *,
        opacity: float,
        fine: bool,
    ) -> None:
        body = gradient(mask.size, tones)
        if fine:
            self.image.paste(body, box[:2], dimmed(mask, 0.94 * opacity))
        else:
            rough = Image.blend(mask.filter(ImageFilter.BoxBlur(2)), self._wobble.crop(box), 0.22)
            mask = rough.point(_EDGE)
            body.paste(mix(tones[1], (255, 255, 255), 0.4), (0, 0), self._flow.crop(box))
            pigment = dimmed(self._pigment.crop(box), opacity)
            self.image.paste(body, box[:2], ImageChops.multiply(mask, pigment))
        inside = mask.filter(ImageFilter.BoxBlur(2 if fine else 4))
        rim = ImageChops.subtract(mask, inside)
        self._tint(rim, box[:2], mix(tones[1], self.palette.ink, 0.3), 0.5 * opacity)


def _swollen(mask: Image.Image, by: int) -> Image.Image:
    swollen = mask
    diagonal = round(by * 0.7)
    for x, y in ((by, 0), (-by, 0), (0, by), (0, -by)):
        swollen = ImageChops.lighter(swollen, _moved(mask, x, y))
    for x in (diagonal, -diagonal):
        for y in (diagonal, -diagonal):
            swollen = ImageChops.lighter(swollen, _moved(mask, x, y))
    return swollen


def _moved(mask: Image.Image, x: int, y: int) -> Image.Image:
    moved = Image.new("L", mask.size)
    moved.paste(mask, (x, y))
    return moved
