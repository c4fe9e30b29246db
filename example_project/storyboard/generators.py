"""Turn a request into scenes and scenes into pictures; the place to plug a model in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from example_project.storyboard.art.scenery import Scenery, StoryScenery
from example_project.storyboard.drawing import draw_panel, undrawable
from example_project.storyboard.phrases import Vocabulary
from example_project.storyboard.text import count_words, segments, words_needed
from session_mgmt.schemas import MediaType, ScenePrompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from session_mgmt.schemas import GenerationRequest

__all__ = ["Generator", "PanelGenerator", "get_generator"]

_SHIPPED: Final = "example_project.storyboard.generators.PanelGenerator"
_LETTERS_NAMED: Final = 5

_STYLES: Final[Mapping[MediaType, str]] = {
    MediaType.CINEMATIC: "a film still, anamorphic, teal shadows and orange light",
    MediaType.COMIC: "a printed comic, bold ink outlines, halftone dots, flat colours",
    MediaType.ANIMATION: "a hand-drawn animated film, clean shapes, bright colours",
    MediaType.WATERCOLOR: "a loose watercolour on rough paper, soft washes, white left open",
}
_SHOTS: Final = ("Wide shot", "Medium shot", "Low angle", "Long shot", "Over the shoulder")
_PLACES: Final[Mapping[str, str]] = {
    "sea": "by the sea",
    "forest": "in a forest",
    "town": "in a town",
    "desert": "in the desert",
    "mountains": "in the mountains",
    "home": "in a room with a window",
    "meadow": "in open country",
}
_SKIES: Final[Mapping[str, str]] = {
    "storm": "a storm breaking",
    "rain": "rain",
    "snow": "falling snow",
    "fog": "low mist",
    "clear": "a clear sky",
}


class Generator(Protocol):
    """What turns a request into scenes and scenes into pictures; plug a model in here."""

    def problems(self, request: GenerationRequest) -> dict[str, str]:
        """Return a message for a person by field name; empty when the request can be fulfilled."""
        ...

    def plan(self, request: GenerationRequest) -> list[ScenePrompt]:
        """Return exactly `num_scenes` scenes, numbered from 1; the same request, the same plan."""
        ...

    def draw(self, scene: ScenePrompt, request: GenerationRequest) -> bytes:
        """Return the scene's picture as a PNG."""
        ...


class PanelGenerator:
    """Cut the story at its best places and draw a panel for each part; needs no network."""

    def problems(self, request: GenerationRequest) -> dict[str, str]:
        """Refuse a story that is too short or damaged, and letters that panels cannot show."""
        message = _lost_characters(request) or _unknown_letters(request) or _missing_words(request)
        return {"story_text": message} if message else {}

    def plan(self, request: GenerationRequest) -> list[ScenePrompt]:
        """Return the scenes; together their descriptions are the whole story, in order.

        Raises:
            ValueError: the story has fewer words than scenes; `problems` tells before.
        """
        vocabulary = Vocabulary(request.story_text)
        world = StoryScenery(request.story_text)
        scenes: list[ScenePrompt] = []
        scenery: Scenery | None = None
        titles: set[str] = set()
        for number, part in enumerate(segments(request.story_text, request.num_scenes), 1):
            scenery = world.read(part, scenery, number)
            phrases = vocabulary.key_phrases(part)
            title = vocabulary.title(part, titles)
            titles.add(title)
            scenes.append(
                ScenePrompt(
                    scene_number=number,
                    title=title,
                    description=part,
                    prompt=_prompt(number, phrases, scenery, request.media_type),
                    metadata={
                        "media_type": request.media_type.value,
                        "key_phrases": phrases,
                        "scenery": scenery.as_json(),
                        "words": count_words(part),
                    },
                )
            )
        return scenes

    def draw(self, scene: ScenePrompt, request: GenerationRequest) -> bytes:
        """Return the panel as a PNG of 1280 by 720 pixels; the same scene, the same bytes."""
        return draw_panel(scene, request.media_type)


def get_generator() -> Generator:
    """Return an instance of the class that the setting `STORYBOARD_GENERATOR` names.

    Raises:
        ImportError: there is no such class.
    """
    generator: Generator = import_string(getattr(settings, "STORYBOARD_GENERATOR", _SHIPPED))()
    return generator


def _lost_characters(request: GenerationRequest) -> str:
    if "\N{REPLACEMENT CHARACTER}" not in request.story_text:
        return ""
    return (
        "The story contains characters that were lost when the text was read; save it as UTF-8 "
        "and send it again."
    )


def _unknown_letters(request: GenerationRequest) -> str:
    unknown = undrawable(request.story_text)
    if not unknown:
        return ""
    named = ", ".join(unknown[:_LETTERS_NAMED])
    others = " and others" if len(unknown) > _LETTERS_NAMED else ""
    return (
        f"The panels cannot show these letters: {named}{others}. Use a story in Latin, Greek or "
        "Cyrillic letters, or plug in a generator that has them."
    )


def _missing_words(request: GenerationRequest) -> str:
    have, need = count_words(request.story_text), words_needed(request.num_scenes)
    if have >= need:
        return ""
    words = "1 word" if have == 1 else f"{have} words"
    if request.num_scenes == 1:
        return f"This story has {words}; a scene needs at least {need}. Write more."
    return (
        f"This story has {words}; {request.num_scenes} scenes need at least {need}. "
        "Write more or ask for fewer scenes."
    )


def _prompt(number: int, phrases: list[str], scenery: Scenery, media_type: MediaType) -> str:
    shot = _SHOTS[(number - 1) % len(_SHOTS)]
    subject = ", ".join(phrases) or "what the words say"
    return (
        f"{shot}, {scenery.time}, {_SKIES[scenery.weather]}, {_PLACES[scenery.place]}: {subject}; "
        f"in the style of {_STYLES[media_type]}."
    )
