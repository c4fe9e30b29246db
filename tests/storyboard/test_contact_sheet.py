"""The page in the download: complete, safe, and in need of nothing but its pictures."""

from __future__ import annotations

from html.parser import HTMLParser

from example_project.storyboard.contact_sheet import contact_sheet, picture_name
from session_mgmt.schemas import ScenePrompt

NASTY = "<script>alert(1)</script> \" ' & </style>"


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def scenes(number: int) -> list[ScenePrompt]:
    return [
        ScenePrompt(
            scene_number=place,
            title=f"Title {place}",
            description=f"First paragraph {place}.\n\nSecond one.",
            prompt="Wide shot.",
        )
        for place in range(1, number + 1)
    ]


def test_a_picture_is_named_after_its_scene() -> None:
    assert [picture_name(scene) for scene in scenes(12)][::11] == ["scene-01.png", "scene-12.png"]


def test_every_scene_is_shown_with_its_picture_and_text() -> None:
    page = Page(contact_sheet("A story", scenes(3), picture_name))
    assert [image["src"] for image in page.all("img")] == [
        "scene-01.png",
        "scene-02.png",
        "scene-03.png",
    ]
    text = "".join(page.text)
    assert "A story" in text
    assert "Title 2" in text
    assert "First paragraph 3." in text
    assert "3 scenes" in text


def test_each_picture_says_what_it_is() -> None:
    page = Page(contact_sheet("A story", scenes(2), picture_name))
    alts = [image["alt"] for image in page.all("img")]
    assert alts == ["Drawn panel of scene 1: Title 1", "Drawn panel of scene 2: Title 2"]


def test_story_text_finds_its_own_direction() -> None:
    page = Page(contact_sheet("שלום", scenes(1), picture_name))
    assert page.all("h1")[0]["dir"] == "auto"
    assert page.all("h2")[0]["dir"] == "auto"
    assert [part["dir"] for part in page.all("div") if part.get("class") == "text"] == ["auto"]


def test_nothing_in_a_story_becomes_markup() -> None:
    nasty = ScenePrompt(scene_number=1, title=NASTY, description=NASTY, prompt=NASTY)
    page = Page(contact_sheet(NASTY, [nasty], lambda scene: f'"{NASTY}.png'))
    assert page.all("script") == []
    assert len(page.all("img")) == 1
    assert set(page.all("img")[0]) == {"src", "width", "height", "alt"}
    assert "".join(page.text).count("alert(1)") >= 4


def test_the_page_needs_no_script_and_nothing_from_elsewhere() -> None:
    html = contact_sheet("A story", scenes(2), picture_name)
    page = Page(html)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    for outside in ("http:", "https:", "//", "url(", "@import"):
        assert outside not in html


def test_the_page_suits_dark_screens_and_paper() -> None:
    html = contact_sheet("A story", scenes(1), picture_name)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_a_storyboard_without_scenes_says_so() -> None:
    assert "no scenes yet" in contact_sheet("A story", [], picture_name)
