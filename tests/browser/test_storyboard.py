"""A person types a story, presses start, sees scenes come and takes the finished board away."""

import zipfile

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

STORY = (
    "Anna climbed the hill at dawn. The sea below was silver and quiet. A boat came round the "
    "point. She waved her red scarf until her arms ached. The boat turned. Her father stood at "
    "the rudder, older than she remembered. Rain began to fall. They walked home without a word."
)
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


def start(page, scenes):
    page.get_by_label("Story").fill(STORY)
    page.get_by_label("Look").select_option("Watercolor")
    page.get_by_label("Scenes").fill(str(scenes))
    page.get_by_role("button", name="Start").click()


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_scenes_come_one_by_one_and_the_board_can_be_downloaded(open_page, options, tmp_path):
    page = open_page(**options)
    assert fits(page)
    start(page, 4)
    figures = page.locator("figure")
    seen = set()
    expect(page.get_by_role("progressbar")).to_be_visible()
    badge = page.locator(".badge")
    while badge.text_content() != "completed":
        seen.add(figures.count())
        page.wait_for_timeout(50)
    assert len(seen & {1, 2, 3}) >= 2, "scenes did not come one by one"
    expect(figures).to_have_count(4)
    expect(page.locator("#news")).to_have_text("completed")
    for picture in page.locator("figure img").all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.naturalWidth === 1280", arg=picture.element_handle())
    assert fits(page)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    waiting.value.save_as(tmp_path / "board.zip")
    assert len(zipfile.ZipFile(tmp_path / "board.zip").namelist()) == 5


def test_without_javascript_the_page_reloads_itself_until_the_end(open_page):
    page = open_page(java_script_enabled=False, **DESKTOP)
    start(page, 3)
    expect(page.locator("figure")).to_have_count(3, timeout=20_000)
    expect(page.locator(".badge")).to_have_text("completed", timeout=20_000)
    assert page.locator("noscript").count() == 0, "a finished page does not reload"


def test_a_shipped_story_is_two_clicks_away(open_page):
    page = open_page(**DESKTOP)
    page.locator(".samples a").first.click()
    assert len(page.get_by_label("Story").input_value().split()) > 300
    page.get_by_role("button", name="Start").click()
    expect(page.locator("figure").first).to_be_visible(timeout=20_000)


def test_bad_input_is_told_at_the_field_and_keeps_what_was_typed(open_page):
    page = open_page(**DESKTOP)
    page.get_by_label("Story").fill("Once")
    with page.expect_response("**/") as waiting:
        page.get_by_role("button", name="Start").click()
    assert waiting.value.status == 400
    field = page.get_by_label("Story")
    expect(field).to_have_value("Once")
    expect(field).to_have_attribute("aria-invalid", "true")
    problem = page.locator(f"#{field.get_attribute('aria-describedby')}")
    expect(problem).to_contain_text("1 word")


def test_the_page_can_be_used_from_the_keyboard(open_page):
    page = open_page(**DESKTOP)
    page.get_by_label("Story").focus()
    page.keyboard.insert_text(STORY)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Start":
            break
    page.keyboard.press("Enter")
    expect(page.locator("figure").first).to_be_visible(timeout=20_000)
