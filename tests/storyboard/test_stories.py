"""The stories that come with the demo can all be used."""

from __future__ import annotations

import re

import pytest

from example_project.storyboard.generators import PanelGenerator
from example_project.storyboard.stories import Story, shipped_stories
from example_project.storyboard.text import count_words
from session_mgmt.schemas import GenerationRequest

STORIES = pytest.mark.parametrize("story", shipped_stories(), ids=lambda story: str(story.slug))


def test_three_stories_come_with_the_demo() -> None:
    assert len({story.slug for story in shipped_stories()}) == 3


@STORIES
def test_a_story_has_a_title_apart_from_its_text(story: Story) -> None:
    assert 3 < len(story.title) < 60
    assert not story.text.startswith(story.title)
    assert re.fullmatch(r"[a-z0-9-]+", story.slug)


@STORIES
def test_a_story_has_300_to_1500_words(story: Story) -> None:
    assert 300 <= count_words(story.text) <= 1500


@STORIES
def test_a_story_can_be_generated(story: Story) -> None:
    request = GenerationRequest(story_text=story.text, num_scenes=12)
    assert PanelGenerator().problems(request) == {}
    assert len(PanelGenerator().plan(request)) == 12


def test_callers_cannot_spoil_the_list_for_each_other() -> None:
    shipped_stories().clear()
    assert len(shipped_stories()) == 3
