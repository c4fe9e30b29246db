"""Check what a person asks for, with a message at the field; for the page and the command."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django import forms
from pydantic import ValidationError

from example_project.storyboard.generators import get_generator
from session_mgmt.conf import get_settings
from session_mgmt.schemas import GenerationRequest, MediaType

__all__ = ["StoryForm", "new_key"]


def new_key() -> str:
    """Return a name for one start, so that pressing the button twice starts once."""
    return str(uuid4())


class StoryForm(forms.Form):
    """Take a story, what it is for and the number of scenes.

    After `is_valid()`, `request` holds the `GenerationRequest`.
    """

    story_text = forms.CharField(
        label="Story",
        widget=forms.Textarea(attrs={"rows": 14, "dir": "auto"}),
        error_messages={"required": "Write or paste a story, or pick one of those below."},
    )
    media_type = forms.ChoiceField(
        label="Look",
        choices=[(media.value, media.value.title()) for media in MediaType],
        initial=MediaType.CINEMATIC.value,
    )
    num_scenes = forms.IntegerField(label="Scenes", min_value=1, initial=6)
    key = forms.CharField(widget=forms.HiddenInput, initial=new_key, required=False, max_length=200)

    request: GenerationRequest

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as forms.Form
        super().__init__(*args, **kwargs)
        self.fields["num_scenes"].widget.attrs["max"] = get_settings().MAX_SCENES

    def clean_story_text(self) -> str:
        """Measure the story and undo the line ends that browsers send."""
        story: str = self.cleaned_data["story_text"]
        limit = get_settings().MAX_TEXT_LENGTH
        if len(story) > limit:
            raise forms.ValidationError(
                f"The story is {len(story):,} characters long; the limit is {limit:,}."
            )
        return story.replace("\r\n", "\n")

    def clean_num_scenes(self) -> int:
        """Hold the number against the setting, which can change between requests."""
        number: int = self.cleaned_data["num_scenes"]
        limit = get_settings().MAX_SCENES
        if number > limit:
            raise forms.ValidationError(f"Ask for {limit} scenes at most.")
        return number

    def clean(self) -> None:
        """Build the request and ask the generator whether it can fulfil it."""
        names = ("story_text", "media_type", "num_scenes")
        if any(name not in self.cleaned_data for name in names):
            return
        try:
            self.request = GenerationRequest(**{name: self.cleaned_data[name] for name in names})
        except ValidationError as error:
            for problem in error.errors():
                field = str(problem["loc"][0]) if problem["loc"] else "story_text"
                self.add_error(field, problem["msg"].removeprefix("Value error, "))
            return
        for field, message in get_generator().problems(self.request).items():
            self.add_error(field, message)
