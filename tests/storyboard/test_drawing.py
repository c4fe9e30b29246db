"""Drawing panels: always a picture, always the same one, and no text cut off."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from example_project.storyboard.art.lettering import Face, fitted, text_width
from example_project.storyboard.art.palette import colour, contrast, palette_for
from example_project.storyboard.art.scenery import Scenery, StoryScenery
from example_project.storyboard.art.scenery_words import DETAILS, PLACES, TIMES, WEATHERS
from example_project.storyboard.drawing import LETTERING, PANEL_SIZE, draw_panel, undrawable
from session_mgmt.schemas import MediaType, ScenePrompt

TEXT = "The storm came out of the west like a door slamming. Rain struck the glass of the lamp."
FACE = Face("Regular", 22)


def scene(**changes: object) -> ScenePrompt:
    values = {"scene_number": 1, "title": "The storm", "description": TEXT, **changes}
    return ScenePrompt.model_validate(values)


def picture(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


@pytest.mark.parametrize("media_type", MediaType)
def test_a_panel_is_a_png_of_the_promised_size(media_type: MediaType) -> None:
    content = draw_panel(scene(), media_type)
    panel = picture(content)
    assert (panel.format, panel.size, panel.mode) == ("PNG", PANEL_SIZE, "RGB")
    assert 20_000 < len(content) < 600_000


@pytest.mark.parametrize("media_type", MediaType)
def test_the_same_scene_gives_the_same_bytes(media_type: MediaType) -> None:
    assert draw_panel(scene(), media_type) == draw_panel(scene(), media_type)


def test_another_medium_or_another_scene_gives_another_picture() -> None:
    panels = {draw_panel(scene(), media_type) for media_type in MediaType}
    panels.add(draw_panel(scene(scene_number=2), MediaType.COMIC))
    panels.add(draw_panel(scene(description="A quiet forest in snow."), MediaType.COMIC))
    assert len(panels) == len(MediaType) + 2


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("weather", WEATHERS)
def test_every_place_can_be_drawn_in_every_weather(place: str, weather: str) -> None:
    number = list(PLACES).index(place) + list(WEATHERS).index(weather)
    time = list(TIMES)[number % len(TIMES)]
    media_type = list(MediaType)[number % len(MediaType)]
    details = list(DETAILS) if number % 2 else []
    what = {"place": place, "time": time, "weather": weather, "details": details}
    panel = picture(draw_panel(scene(metadata={"scenery": what}), media_type))
    colours = panel.resize((64, 36)).getcolors(64 * 36)
    assert colours is not None
    assert len(colours) > 60


@pytest.mark.parametrize(
    ("detail", "place", "others"),
    [
        ("lighthouse", "sea", []),
        ("boat", "sea", ["lighthouse"]),  # a sea without a lighthouse always has a boat
        ("train", "mountains", []),
        ("house", "meadow", []),
        ("fire", "forest", []),
        ("market", "town", []),
        ("birds", "desert", []),
        ("town", "desert", []),
        ("crowd", "town", []),
    ],
)
def test_each_detail_can_be_seen(detail: str, place: str, others: list[str]) -> None:
    def panel(details: list[str]) -> bytes:
        what = {"place": place, "time": "night", "weather": "clear", "details": details}
        return draw_panel(scene(metadata={"scenery": what}), MediaType.ANIMATION)

    assert detail in DETAILS
    assert panel([*others, detail]) != panel(others)


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "", "description": ""},
        {"title": "W" * 2000, "description": "W" * 100_000},
        {"title": "word " * 300, "description": "word " * 10_000},
        {"title": "😀 中文 \u202e", "description": "e\u0301 \u0301\u0301 😀"},
        {"scene_number": 2_147_483_647},
        {"metadata": {"scenery": {"place": "nowhere", "details": 5}}},
        {"metadata": {"scenery": {"place": ["sea"], "time": {}, "weather": None}}},
    ],
)
def test_strange_scenes_are_drawn_too(changes: dict[str, object]) -> None:
    for media_type in (MediaType.CINEMATIC, MediaType.WATERCOLOR):
        assert picture(draw_panel(scene(**changes), media_type)).size == PANEL_SIZE


@pytest.mark.parametrize("media_type", MediaType)
def test_lettering_has_the_contrast_of_wcag_aa_and_keeps_off_the_edges(
    media_type: MediaType,
) -> None:
    wide = scene(title="W" * 300, description="W " * 5000, scene_number=999)
    panel = picture(draw_panel(wide, media_type))
    look = LETTERING[media_type]
    assert contrast(colour(look.title), colour(look.ground)) >= 4.5
    assert contrast(colour(look.text), colour(look.ground)) >= 4.5
    assert contrast(colour(look.number), colour(look.number_ground)) >= 4.5
    # The outermost pixels are those of a panel without a word.
    silent = picture(draw_panel(scene(title="", description=""), media_type))
    for box in ((0, 602, 30, 720), (1250, 602, 1280, 720), (0, 708, 1280, 720)):
        levels = {pixel // 24 for pixel in panel.crop(box).convert("L").tobytes()}
        assert levels <= {pixel // 24 for pixel in silent.crop(box).convert("L").tobytes()}


@given(st.text(max_size=300), st.integers(1, 3))
def test_lines_fit_their_width_and_only_the_last_is_shortened(text: str, rows: int) -> None:
    lines = fitted(text, FACE, 300, rows)
    assert len(lines) <= rows
    assert all(text_width(line, FACE) <= 300 for line in lines)


def test_a_text_that_does_not_fit_ends_in_an_ellipsis_after_a_whole_word() -> None:
    lines = fitted(TEXT, FACE, 300, 2)
    assert lines[-1].endswith("…")
    assert " ".join(lines)[:-1] in TEXT
    assert TEXT[len(" ".join(lines)) - 1] in " ,."


def test_a_text_that_fits_is_shown_whole() -> None:
    assert " ".join(fitted(TEXT, FACE, 300, 9)) == TEXT


def test_letters_that_the_font_lacks_are_named_once_in_order() -> None:
    assert undrawable("Za 中文中 b שלום é") == "中文שלום"


@pytest.mark.parametrize("text", ["Ærø, Łódź, Ğ, ẵ, ß", "Ωμέγα", "Щука їжак", "😀 ★ → 🎉 € 5"])
def test_latin_greek_cyrillic_and_symbols_are_no_obstacle(text: str) -> None:
    assert undrawable(text) == ""


def test_symbols_that_the_font_lacks_are_left_out() -> None:
    assert fitted("sun 😀 and sea ★", FACE, 900, 1) == ["sun and sea"]


def test_accents_that_are_separate_characters_are_joined() -> None:
    assert fitted("cafe\u0301", FACE, 900, 1) == ["café"]


@pytest.mark.parametrize(
    ("text", "place", "time", "weather"),
    [
        ("Waves broke on the beach at midnight.", "sea", "night", "clear"),
        ("At noon the camels crossed the dunes.", "desert", "day", "clear"),
        ("It snowed; snow fell in the forest one evening.", "forest", "dusk", "snow"),
        ("Thunder over the streets of the city at dawn.", "town", "dawn", "storm"),
        ("Ночь в лесу, идёт дождь.", "forest", "night", "rain"),
    ],
)
def test_words_choose_the_scenery(text: str, place: str, time: str, weather: str) -> None:
    scenery = StoryScenery(text).read(text)
    assert (scenery.place, scenery.time, scenery.weather) == (place, time, weather)


def test_a_scene_that_says_nothing_stays_where_the_story_was() -> None:
    story = "It was midnight by the sea. She sang."
    world = StoryScenery(story)
    first = world.read("It was midnight by the sea.")
    assert world.read("She sang.", first, 2) == first


def test_scenery_survives_json() -> None:
    scenery = Scenery("sea", "night", "fog", ("boat", "birds"))
    assert Scenery.from_json(scenery.as_json()) == scenery
    assert Scenery.from_json("sea") is None


@pytest.mark.parametrize("media_type", MediaType)
def test_the_nearest_land_differs_from_the_sky(media_type: MediaType) -> None:
    for time in TIMES:
        palette = palette_for(Scenery("meadow", time, "clear"), media_type)
        assert contrast(palette.near, palette.sky[-1]) > 1.5
