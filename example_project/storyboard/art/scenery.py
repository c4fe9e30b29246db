"""Read from a scene's words what to draw: the place, the hour, the weather, what stands there."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from example_project.storyboard.art.scenery_words import DETAILS, PLACES, TIMES, WEATHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Scenery", "StoryScenery"]

_WORD: Final = re.compile(r"[^\W\d_]+")
_HINT: Final = 1
_TOLD: Final = 3
# A plain word moves the story elsewhere, a hint or two do not.
_HABIT: Final = 2
# What a story says as often as this, in all, is what it is about.
_THEME: Final = 2 * _TOLD
# With no word to go by, a story wanders through these, one step a scene.
_WANDERING: Final = (("meadow", "dawn"), ("forest", "day"), ("mountains", "dusk"), ("sea", "night"))
# Where these stand, they stand in every scene of the place.
_LASTING: Final = ("lighthouse", "train", "house", "town")


def _index(groups: Mapping[str, str]) -> dict[str, list[tuple[str, int]]]:
    index: dict[str, list[tuple[str, int]]] = {}
    for name, listed in groups.items():
        for word in listed.split():
            weight = _HINT if word.endswith("?") else _TOLD
            index.setdefault(word.rstrip("?"), []).append((name, weight))
    return index


_INDEXES: Final = {
    "place": _index(PLACES),
    "time": _index(TIMES),
    "weather": _index(WEATHERS),
    "details": _index(DETAILS),
}


@dataclass(frozen=True, slots=True)
class Scenery:
    """What a scene shows.

    Attributes:
        place: a key of `PLACES`.
        time: a key of `TIMES`.
        weather: a key of `WEATHERS`.
        details: keys of `DETAILS`, in their order.
    """

    place: str
    time: str
    weather: str
    details: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the scenery as a JSON object."""
        return {
            "place": self.place,
            "time": self.time,
            "weather": self.weather,
            "details": list(self.details),
        }

    @classmethod
    def from_json(cls, value: object) -> Scenery | None:
        """Return the scenery that `as_json` described, or None when it is not one."""
        if not isinstance(value, dict):
            return None
        place, time, weather = (str(value.get(key)) for key in ("place", "time", "weather"))
        if place not in PLACES or time not in TIMES or weather not in WEATHERS:
            return None
        given = value.get("details")
        known = tuple(name for name in DETAILS if isinstance(given, list) and name in given)
        return cls(place, time, weather, known)


class StoryScenery:
    """Where and when a story plays, read once for the whole; then ask for each of its parts."""

    def __init__(self, story: str) -> None:
        self._all = _counted(story)

    def read(self, part: str, before: Scenery | None = None, number: int = 1) -> Scenery:
        """Return what `part` describes.

        What its words leave open is as it was `before`; in a first scene the story, and where the
        story is silent the scene's number, decides.
        """
        counts = _counted(part)
        place, time = _WANDERING[(number - 1) % len(_WANDERING)]
        main = _most(self._all["place"], before.place if before else place)
        time = before.time if before else next(iter(self._all["time"]), time)
        time = _most(counts["time"], time, _HABIT)
        # A new hour brings new weather, unless the words say otherwise.
        weather = "clear"
        if before and time == before.time and self._all["weather"][before.weather] >= _THEME:
            weather = before.weather
        details = {name for name in DETAILS if counts["details"][name] >= _TOLD}
        place = _most(counts["place"], main, _HABIT)
        if place == "town" and self._all["place"]["desert"] >= _THEME:
            place = "desert"
            details.add("town")
        if place in {main, "desert"}:
            details.update(name for name in _LASTING if self._all["details"][name] >= _THEME)
        weather = _most(counts["weather"], weather, _HABIT)
        return Scenery(place, time, weather, tuple(name for name in DETAILS if name in details))


def _counted(text: str) -> dict[str, Counter[str]]:
    counts = {topic: Counter[str]() for topic in _INDEXES}
    for found in _WORD.finditer(text):
        word = found.group().casefold()
        for topic, index in _INDEXES.items():
            for name, weight in index.get(word, ()):
                counts[topic][name] += weight
    return counts


def _most(counts: Counter[str], otherwise: str, habit: int = 0) -> str:
    """Return the name with the highest count; `otherwise` gets `habit` more, and wins a tie."""
    ranked = Counter(counts)
    ranked[otherwise] += habit
    best = max(ranked.values())
    return otherwise if ranked[otherwise] == best else max(ranked, key=lambda name: ranked[name])
