"""What comes in is either storable on every database or refused by name."""

import math

import pytest
from pydantic import ValidationError

from session_mgmt import GenerationRequest, InvalidInputError, ProgressUpdate, ScenePrompt
from session_mgmt.validation import checked_json, cleaned_report


def nested(depth):
    value = "end"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": math.nan}, "cannot be written as JSON"),
        ({"a": math.inf}, "cannot be written as JSON"),
        ({"a": "x\x00"}, "NUL character"),
        ({"x\x00": 1}, "NUL character"),
        ({"a": "\ud800"}, "surrogate"),
        ({"a": object()}, "cannot be written as JSON"),
        ({"a": {1, 2}}, "cannot be written as JSON"),
        ({"a": nested(200)}, "deeper than 100"),
        ({"a": nested(5_000)}, "cannot be written as JSON|deeper"),
        ({"a": 10**5_000}, "cannot be written as JSON"),
        ({"a": "x" * 2_000_000}, "2,000,0.. bytes"),
    ],
)
def test_json_that_a_database_cannot_store_is_refused_with_the_name_of_the_field(value, problem):
    with pytest.raises(InvalidInputError, match=f"parameters: .*({problem})") as caught:
        checked_json("parameters", value)
    assert caught.value.field == "parameters"


def test_json_comes_back_as_a_database_would_give_it():
    assert checked_json("f", {"a": (1, 2), 3: None}) == {"a": [1, 2], "3": None}


def test_a_report_is_cleaned_and_cut_but_never_refused(settings):
    settings.SESSION_MGMT = {"MAX_DESCRIPTION_LENGTH": 10}
    assert cleaned_report("a\x00b\ud800") == "a\ufffdb\ufffd"
    assert cleaned_report("x" * 50) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"story_text": ""}, "story_text is empty"),
        ({"story_text": " \n"}, "story_text is empty"),
        ({"story_text": "a\x00b"}, "story_text: contains a NUL"),
        ({"story_text": "a\udfff"}, "story_text: contains half of a surrogate"),
        ({"story_text": "x" * 100_001}, "story_text: is 100,001 characters"),
        ({"story_text": 5}, "story_text"),
        ({"story_text": "a", "num_scenes": 0}, "num_scenes"),
        ({"story_text": "a", "num_scenes": 10_000}, "at most 100 scenes"),
        ({"story_text": "a", "media_type": "opera"}, "media_type"),
        ({"story_text": "a", "mood": "glad"}, "mood"),
    ],
)
def test_a_bad_request_is_refused_with_the_name_of_the_field(values, problem):
    with pytest.raises(ValidationError, match=problem):
        GenerationRequest(**values)


def test_a_stored_request_is_readable_after_a_limit_was_lowered(settings):
    stored = GenerationRequest(story_text="x" * 500, num_scenes=50).model_dump(mode="json")
    settings.SESSION_MGMT = {"MAX_TEXT_LENGTH": 10, "MAX_SCENES": 2}
    assert GenerationRequest.from_stored(stored).num_scenes == 50
    with pytest.raises(ValidationError):
        GenerationRequest(**stored)


@pytest.mark.parametrize(("step", "total"), [(-1, 5), (1, -5), (6, 5), ("x", 5), (None, 5)])
def test_impossible_progress_is_refused(step, total):
    with pytest.raises(ValidationError):
        ProgressUpdate(current_step=step, total_steps=total)


def test_percentage_is_derived_and_zero_while_the_total_is_unknown():
    assert ProgressUpdate(current_step=1, total_steps=3).percentage == 33.3
    assert ProgressUpdate(current_step=7, total_steps=0).percentage == 0.0


@pytest.mark.parametrize("metadata", [{"a": math.nan}, {"a": "\x00"}, {"a": object()}])
def test_scene_metadata_must_be_storable_json(metadata):
    with pytest.raises(ValidationError, match="metadata"):
        ScenePrompt(scene_number=1, metadata=metadata)
