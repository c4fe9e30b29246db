"""Choose the colours of a panel from the time of day, the weather, the place and the medium.

Colours of the ground are daylight colours multiplied by the light of the hour, and everything far
away is mixed with the sky at the horizon, so any combination is in harmony.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from PIL import ImageColor

from session_mgmt.schemas import MediaType

if TYPE_CHECKING:
    from example_project.storyboard.art.scenery import Scenery

__all__ = ["Colour", "Palette", "colour", "contrast", "mix", "palette_for"]

Colour: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one panel.

    Attributes:
        sky: from the zenith down to the horizon.
        haze: what the farthest land looks like.
        near: what the nearest land looks like.
        wood: what the nearest trees look like, which snow does not whiten.
        water: the sea far out and close by.
        light: sun, moon and what they touch.
        lamp: fire and lit windows.
        accent: the one strong colour: a sail, a roof, a scarf.
        ink: outlines and lettering.
        is_dark: whether lamps would be lit.
    """

    sky: tuple[Colour, ...]
    haze: Colour
    near: Colour
    wood: Colour
    water: tuple[Colour, Colour]
    light: Colour
    lamp: Colour
    accent: Colour
    ink: Colour
    is_dark: bool

    def depth(self, nearness: float) -> Colour:
        """Return the colour of land at 0 (horizon) to 1 (in front)."""
        return _saturated(mix(self.haze, self.near, nearness), _MIDDLE)

    def growth(self, nearness: float) -> Colour:
        """Return the colour of trees at 0 (horizon) to 1 (in front)."""
        return _saturated(mix(self.haze, self.wood, nearness), _MIDDLE)


def colour(name: str) -> Colour:
    """Return a colour from its hexadecimal name."""
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return `first` with a `share` of 0 to 1 of `second`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def contrast(first: Colour, second: Colour) -> float:
    """Return the contrast ratio of WCAG 2, from 1 to 21."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(of: Colour) -> float:
    linear = [
        part / 12.92 if part <= _LINEAR_BELOW else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in of)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# Below it, sRGB has no exponent.
_LINEAR_BELOW: Final = 0.04045

_SKIES: Final = {
    "dawn": ("#44558c", "#9c8bb8", "#f0b8a6", "#ffe6c2"),
    "day": ("#3f8fcb", "#7fbfe3", "#c3e5ec", "#f5f2df"),
    "dusk": ("#2a2860", "#7d4079", "#e06d63", "#ffb86b", "#ffe2a3"),
    "night": ("#070c20", "#0f1e3e", "#1c3a61", "#44708f"),
}
_AMBIENT: Final = {
    "dawn": (0.76, 0.62, 0.72),
    "day": (1.0, 1.0, 1.0),
    "dusk": (0.60, 0.40, 0.50),
    "night": (0.17, 0.25, 0.40),
}
_LIGHT: Final = {"dawn": "#fff1d2", "day": "#fffbe8", "dusk": "#ffe0a0", "night": "#f6f1dc"}
_NEAR: Final = {
    "meadow": ("#2f5f3c", "#a8c994"),
    "forest": ("#16392f", "#93b9a2"),
    "sea": ("#35453f", "#9fb9bb"),
    "desert": ("#a8572d", "#f0cf9b"),
    "mountains": ("#27485c", "#94b4d2"),
    "town": ("#54404a", "#cdb9ac"),
    "home": ("#3a6343", "#b3cd9f"),
}
# Mixing dulls: the middle distance gets back some colour.
_MIDDLE: Final = 1.22
_SNOWY: Final = ("#dfe9f4", "#c3d2e2")
_WATER: Final = ("#8fc3cf", "#1f5f7e")
_OVERCAST: Final = {"rain": 0.55, "storm": 0.72, "snow": 0.35, "fog": 0.3}
_SATURATION: Final = {
    MediaType.CINEMATIC: 0.95,
    MediaType.COMIC: 1.25,
    MediaType.ANIMATION: 1.35,
    MediaType.WATERCOLOR: 1.12,
}

_LIFT: Final = {MediaType.WATERCOLOR: 0.13, MediaType.ANIMATION: 0.05}


def palette_for(scenery: Scenery, media_type: MediaType) -> Palette:
    """Return the palette of a scene in a medium."""
    ambient = _AMBIENT[scenery.time]
    grey = _lit(colour("#8d9aa6"), ambient)
    sky = _sky(scenery, grey)
    near, wood, far = _ground(scenery, ambient)
    mirrored = ((sky[-2], 0.45), (sky[0], 0.5))
    water = [
        mix(mix(_lit(colour(name), ambient), tone, share), grey, _cover(scenery) * 0.4)
        for name, (tone, share) in zip(_WATER, mirrored, strict=True)
    ]
    boost, lift = _SATURATION[media_type], _LIFT.get(media_type, 0.0)

    def tuned(tone: Colour) -> Colour:
        return mix(_saturated(tone, boost), (255, 255, 255), lift)

    return Palette(
        sky=tuple(tuned(tone) for tone in sky),
        haze=tuned(mix(mix(sky[-1], sky[-2], 0.45), far, 0.5)),
        near=tuned(near),
        wood=tuned(wood),
        water=(tuned(water[0]), tuned(water[1])),
        light=colour(_LIGHT[scenery.time]),
        lamp=colour("#ffc768"),
        accent=tuned(_lit(colour("#d9442f"), tuple(min(1.0, part + 0.35) for part in ambient))),
        ink=colour("#171321"),
        is_dark=scenery.time in {"dusk", "night"} or scenery.weather == "storm",
    )


def _cover(scenery: Scenery) -> float:
    return _OVERCAST.get(scenery.weather, 0.0)


def _sky(scenery: Scenery, grey: Colour) -> list[Colour]:
    cloud = mix(grey, (0, 0, 0), 0.35 if scenery.weather == "storm" else 0.0)
    return [mix(colour(name), cloud, _cover(scenery)) for name in _SKIES[scenery.time]]


def _ground(scenery: Scenery, ambient: tuple[float, ...]) -> tuple[Colour, Colour, Colour]:
    """Return the colours of the nearest land, of the nearest trees, and of the farthest land."""
    near, far = (colour(name) for name in _NEAR[scenery.place])
    brightness = 0.8 if scenery.weather in {"rain", "storm"} else 1.0
    shine = tuple(part * brightness for part in ambient)
    wood = _lit(mix(near, colour(_NEAR["forest"][0]), 0.5), shine)
    if scenery.weather == "snow":
        near, far = (colour(name) for name in _SNOWY)
        # Snow gives back what little light there is.
        shine = tuple(min(1.0, part * 0.74 + 0.26) for part in shine)
    return _lit(near, shine), wood, _lit(far, ambient)


def _lit(tone: Colour, ambient: tuple[float, ...]) -> Colour:
    red, green, blue = (
        min(255, round(part * light)) for part, light in zip(tone, ambient, strict=True)
    )
    return red, green, blue


def _saturated(tone: Colour, boost: float) -> Colour:
    grey = 0.3 * tone[0] + 0.59 * tone[1] + 0.11 * tone[2]
    red, green, blue = (max(0, min(255, round(grey + (part - grey) * boost))) for part in tone)
    return red, green, blue
