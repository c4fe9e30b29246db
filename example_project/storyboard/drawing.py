"""Draw a scene's panel: a picture in the look of its medium, with the scene's words beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from random import Random
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

from example_project.storyboard.art.canvas import Canvas
from example_project.storyboard.art.finish import graded, on_paper
from example_project.storyboard.art.landscape import draw_landscape
from example_project.storyboard.art.lettering import (
    Face,
    TextBox,
    fitted,
    set_lines,
    text_width,
    undrawable,
)
from example_project.storyboard.art.palette import colour, palette_for
from example_project.storyboard.art.scenery import Scenery, StoryScenery
from session_mgmt.schemas import MediaType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from session_mgmt.schemas import ScenePrompt

__all__ = ["LETTERING", "PANEL_SIZE", "Lettering", "draw_panel", "undrawable"]

PANEL_SIZE: Final = (1280, 720)

_TITLE: Final = Face("Semibold", 30)
_TEXT: Final = Face("Regular", 22)


@dataclass(frozen=True, slots=True)
class Lettering:
    """The colours of the words and of what they stand on."""

    ground: str
    title: str
    text: str
    number: str
    number_ground: str


LETTERING: Final[Mapping[MediaType, Lettering]] = {
    MediaType.CINEMATIC: Lettering("#07090c", "#f7efe1", "#c9c5bd", "#e9a15b", "#07090c"),
    MediaType.COMIC: Lettering("#fff3c4", "#171321", "#2b2433", "#ffd84d", "#171321"),
    MediaType.ANIMATION: Lettering("#fffaf0", "#1f2937", "#4b5563", "#c2410c", "#fffaf0"),
    MediaType.WATERCOLOR: Lettering("#f5f1e7", "#3b2f2a", "#5b4a42", "#3b2f2a", "#f5f1e7"),
}


def draw_panel(scene: ScenePrompt, media_type: MediaType) -> bytes:
    """Return the panel of a scene as a PNG of 1280 by 720 pixels.

    The same scene and medium give the same bytes. What to draw is read from `metadata["scenery"]`,
    else from the words of the description.
    """
    scenery = Scenery.from_json(scene.metadata.get("scenery"))
    if scenery is None:
        words = f"{scene.title} {scene.description}"
        scenery = StoryScenery(words).read(words, number=scene.scene_number)
    seed = sha256(f"{scene.scene_number}\n{scene.title}\n{scene.description}".encode()).digest()
    rng = Random(seed)  # noqa: S311 # decoration, not a secret
    panel = _LAYOUTS[media_type](scene, scenery, rng)
    buffer = BytesIO()
    # Level 6 takes twice as long for a twelfth less.
    panel.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _painted(
    size: tuple[int, int], media_type: MediaType, scenery: Scenery, rng: Random
) -> Image.Image:
    canvas = Canvas(size, media_type, palette_for(scenery, media_type), rng)
    draw_landscape(canvas, scenery, rng)
    return canvas.image


def _cinematic(scene: ScenePrompt, scenery: Scenery, rng: Random) -> Image.Image:
    """Letterbox: the words stand in the lower bar."""
    look = LETTERING[MediaType.CINEMATIC]
    panel = Image.new("RGB", PANEL_SIZE, colour(look.ground))
    picture = _painted((1280, 530), MediaType.CINEMATIC, scenery, rng)
    panel.paste(graded(picture), (0, 40))
    _number(panel, scene, (92, 594), look)
    _words(panel, scene, TextBox(164, 586, 1046), look)
    return panel


def _comic(scene: ScenePrompt, scenery: Scenery, rng: Random) -> Image.Image:
    """Frame the picture in ink; the caption box overlaps the frame's lower edge."""
    look = LETTERING[MediaType.COMIC]
    ink = colour(look.title)
    panel = Image.new("RGB", PANEL_SIZE, colour("#fffdf6"))
    panel.paste(_painted((1240, 550), MediaType.COMIC, scenery, rng), (20, 20))
    draw = ImageDraw.Draw(panel)
    draw.rectangle((17, 17, 1262, 572), outline=ink, width=6)
    draw.rectangle((68, 568, 1228, 706), fill=ink)
    draw.rectangle((60, 560, 1220, 698), fill=colour(look.ground), outline=ink, width=4)
    draw.rectangle((60, 560, 148, 698), fill=colour(look.number_ground))
    _number(panel, scene, (104, 596), look)
    _words(panel, scene, TextBox(172, 573, 1020), look)
    return panel


def _animation(scene: ScenePrompt, scenery: Scenery, rng: Random) -> Image.Image:
    """Lay a bright card with round corners over the picture's foot."""
    look = LETTERING[MediaType.ANIMATION]
    panel = Image.new("RGB", PANEL_SIZE, colour(look.ground))
    panel.paste(_painted((1280, 596), MediaType.ANIMATION, scenery, rng), (0, 0))
    card = Image.new("L", (2560, 304))
    ImageDraw.Draw(card).rounded_rectangle((0, 0, 2559, 400), 64, fill=255)
    panel.paste(colour(look.ground), (0, 568), card.reduce(2))
    _number(panel, scene, (92, 598), look)
    _words(panel, scene, TextBox(164, 590, 1046), look)
    return panel


def _watercolor(scene: ScenePrompt, scenery: Scenery, rng: Random) -> Image.Image:
    """Paint on a sheet of paper and write below."""
    picture = _painted((1216, 540), MediaType.WATERCOLOR, scenery, rng)
    panel = on_paper(picture, PANEL_SIZE, (32, 18), rng)
    numbered = scene.model_copy(update={"title": f"{scene.scene_number}.  {scene.title}"})
    _words(panel, numbered, TextBox(640, 572, 1000, centred=True), LETTERING[MediaType.WATERCOLOR])
    return panel


def _number(panel: Image.Image, scene: ScenePrompt, at: tuple[int, int], look: Lettering) -> None:
    label, size = f"{scene.scene_number:02d}", 52
    while text_width(label, Face("Semibold", size)) > 80:
        size -= 2
    # Smaller digits stand on the same line.
    box = TextBox(at[0], at[1] + (52 - size), 80, centred=True)
    face = Face("Semibold", size)
    set_lines(panel, box, [label], face, tone=colour(look.number), leading=1.2)


def _words(panel: Image.Image, scene: ScenePrompt, box: TextBox, look: Lettering) -> None:
    title = fitted(scene.title, _TITLE, box.width, 1)
    lines = fitted(scene.description, _TEXT, box.width, 3 - len(title))
    low = set_lines(panel, box, title, _TITLE, tone=colour(look.title), leading=1.36)
    below = replace(box, y=low + 2)
    set_lines(panel, below, lines, _TEXT, tone=colour(look.text), leading=1.32)


_LAYOUTS: Final[Mapping[MediaType, Callable[[ScenePrompt, Scenery, Random], Image.Image]]] = {
    MediaType.CINEMATIC: _cinematic,
    MediaType.COMIC: _comic,
    MediaType.ANIMATION: _animation,
    MediaType.WATERCOLOR: _watercolor,
}
