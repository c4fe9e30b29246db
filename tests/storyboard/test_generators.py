"""From a request to scenes: what is refused, what is planned, which generator is used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from django.test import override_settings

from example_project.storyboard.generators import Generator, PanelGenerator, get_generator
from example_project.storyboard.stories import shipped_stories
from session_mgmt.schemas import GenerationRequest, MediaType, ScenePrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

STORY = shipped_stories()[0].text


class OtherGenerator:
    def problems(self, request: GenerationRequest) -> dict[str, str]:
        return {}

    def plan(self, request: GenerationRequest) -> list[ScenePrompt]:
        return []

    def draw(self, scene: ScenePrompt, request: GenerationRequest) -> bytes:
        return b""


def ask(
    story: str = STORY, scenes: int = 6, media: MediaType = MediaType.COMIC
) -> GenerationRequest:
    return GenerationRequest(story_text=story, num_scenes=scenes, media_type=media)


def problem(story: str, scenes: int = 6) -> str:
    found = PanelGenerator().problems(ask(story, scenes))
    assert set(found) <= {"story_text"}
    return found.get("story_text", "")


def letters(texts: Sequence[str]) -> str:
    return "".join("".join(text.split()) for text in texts)


@pytest.mark.parametrize("number", [1, 2, 6, 40])
def test_a_plan_has_the_scenes_asked_for_and_all_of_the_story(number: int) -> None:
    scenes = PanelGenerator().plan(ask(scenes=number))
    assert [scene.scene_number for scene in scenes] == list(range(1, number + 1))
    assert letters([scene.description for scene in scenes]) == letters([STORY])
    for scene in scenes:
        assert scene.title
        assert scene.prompt


def test_the_titles_of_a_plan_are_all_different() -> None:
    titles = [scene.title for scene in PanelGenerator().plan(ask(scenes=12))]
    assert len(set(titles)) == 12


def test_the_same_request_gives_the_same_plan() -> None:
    assert PanelGenerator().plan(ask()) == PanelGenerator().plan(ask())


def test_the_prompt_names_shot_hour_subjects_and_style() -> None:
    first = PanelGenerator().plan(ask(media=MediaType.WATERCOLOR))[0]
    assert first.prompt.startswith("Wide shot, dusk, ")
    assert "Isla Marrow" in first.prompt
    assert "watercolour" in first.prompt


def test_metadata_can_be_stored_as_json_and_tells_the_key_phrases_and_the_mood() -> None:
    for scene in PanelGenerator().plan(ask()):
        assert json.loads(json.dumps(scene.metadata)) == scene.metadata
        assert scene.metadata["key_phrases"]
        assert set(scene.metadata["scenery"]) == {"place", "time", "weather", "details"}  # type: ignore[call-overload] # checked by the line


def test_a_scene_is_drawn_as_a_png() -> None:
    generator, request = PanelGenerator(), ask(scenes=1)
    assert generator.draw(generator.plan(request)[0], request).startswith(b"\x89PNG")


def test_a_good_story_has_no_problems() -> None:
    assert PanelGenerator().problems(ask()) == {}


@pytest.mark.parametrize(
    ("story", "scenes", "message"),
    [
        (
            "Hello",
            6,
            "This story has 1 word; 6 scenes need at least 18. Write more or ask for fewer scenes.",
        ),
        ("Hello there", 1, "This story has 2 words; a scene needs at least 3. Write more."),
        ("...", 1, "This story has 0 words; a scene needs at least 3. Write more."),
    ],
)
def test_a_story_too_short_is_refused_with_the_numbers(
    story: str, scenes: int, message: str
) -> None:
    assert problem(story, scenes) == message


def test_the_shortest_story_allowed_can_be_planned() -> None:
    story = "one two three four five six"
    assert problem(story, 2) == ""
    assert len(PanelGenerator().plan(ask(story, 2))) == 2


def test_letters_that_panels_cannot_show_are_named() -> None:
    message = problem("Anna met 北京 and nobody else.", 1)
    assert message.startswith("The panels cannot show these letters: 北, 京. ")
    assert "plug in a generator" in message


def test_at_most_five_such_letters_are_named() -> None:
    assert "letters: 一, 二, 三, 四, 五 and others." in problem("一二三四五六七八九十", 1)


def test_characters_that_were_lost_are_refused() -> None:
    assert "save it as UTF-8" in problem("The caf\N{REPLACEMENT CHARACTER} was open all night.", 1)


def test_symbols_do_not_stop_a_story() -> None:
    assert problem("We danced 🎉 all night ★ long → home.", 1) == ""


def test_the_shipped_generator_is_the_default() -> None:
    generator: Generator = get_generator()
    assert isinstance(generator, PanelGenerator)


@override_settings(STORYBOARD_GENERATOR=f"{__name__}.OtherGenerator")
def test_a_setting_plugs_another_generator_in() -> None:
    assert isinstance(get_generator(), OtherGenerator)


@override_settings(STORYBOARD_GENERATOR="example_project.storyboard.generators.Missing")
def test_a_generator_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ImportError, match="Missing"):
        get_generator()
