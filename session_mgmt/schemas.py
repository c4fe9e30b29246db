"""The typed values that travel in and out: a request, a scene, a step of progress (seed 001)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    computed_field,
    model_validator,
)

from session_mgmt.conf import get_settings
from session_mgmt.exceptions import InvalidInputError
from session_mgmt.validation import checked_json, checked_text

__all__ = ["GenerationRequest", "MediaType", "ProgressUpdate", "ScenePrompt"]

_STORED: Final = "stored"


def _is_stored(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get(_STORED))


def _long_text(value: object, info: ValidationInfo) -> object:
    return _text(value, info, get_settings().MAX_TEXT_LENGTH)


def _line(value: object, info: ValidationInfo) -> object:
    return _text(value, info, get_settings().MAX_DESCRIPTION_LENGTH)


def _text(value: object, info: ValidationInfo, max_length: int) -> object:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {type(value).__name__}")  # noqa: TRY004 # for pydantic
    if not _is_stored(info):
        checked_text(info.field_name or "text", value, max_length)
    return value


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not a bool")  # noqa: TRY004 # for pydantic
    return value


def _scene_count(value: int, info: ValidationInfo) -> int:
    limit = get_settings().MAX_SCENES
    if value > limit and not _is_stored(info):
        raise ValueError(f"at most {limit} scenes fit into one session")
    return value


def _metadata(value: object, info: ValidationInfo) -> object:
    return value if _is_stored(info) else checked_json("metadata", value)


LongText = Annotated[str, BeforeValidator(_long_text)]
Line = Annotated[str, BeforeValidator(_line)]
_Count = Annotated[int, BeforeValidator(_no_bool)]


class MediaType(StrEnum):
    """What the scenes are meant for; a generator chooses its look by it."""

    CINEMATIC = "cinematic"
    ANIMATION = "animation"
    COMIC = "comic"
    WATERCOLOR = "watercolor"


class _Value(BaseModel):
    """Frozen, and strict about names: a misspelt field is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_stored(cls, values: dict[str, Any]) -> Self:  # Any: JSON of this class's own making
        """Build the value from what was stored, without measuring it against today's limits.

        Lowering a limit, or dropping a field, must not make old rows unreadable.
        """
        known = {name: value for name, value in values.items() if name in cls.model_fields}
        return cls.model_validate(known, context={_STORED: True})

    def rechecked(self, field: str) -> Self:
        """Return the value after validating it once more.

        pydantic's `model_copy(update=…)` and `model_construct` let anything through.

        Raises:
            InvalidInputError: names `field`.
        """
        try:
            return type(self).model_validate(dict(self))
        except ValidationError as error:
            raise InvalidInputError(field, str(error)) from None


class GenerationRequest(_Value):
    """Ask for a story to be turned into scenes.

    Attributes:
        story_text: the story, at most `MAX_TEXT_LENGTH` characters, not blank.
        media_type: what the scenes are meant for.
        num_scenes: 1 to `MAX_SCENES`.
    """

    story_text: LongText
    media_type: MediaType = MediaType.CINEMATIC
    num_scenes: Annotated[_Count, Field(ge=1), AfterValidator(_scene_count)] = 6

    @model_validator(mode="after")
    def _refuse_blank_story(self) -> Self:
        if not self.story_text.strip():
            raise ValueError("story_text is empty; give the story as text")
        return self


class ScenePrompt(_Value):
    """One scene of a story.

    Attributes:
        scene_number: place in the story, from 1.
        title: a few words.
        description: the part of the story that the scene shows.
        prompt: what to ask an image or video model for.
        metadata: a JSON object of the generator's own, such as the name of the picture's file.
    """

    scene_number: Annotated[_Count, Field(ge=1, le=2_147_483_647)]
    title: Line = ""
    description: LongText = ""
    prompt: LongText = ""
    metadata: Annotated[dict[str, object], BeforeValidator(_metadata)] = Field(default_factory=dict)


class ProgressUpdate(_Value):
    """How far a session has come.

    Attributes:
        current_step: steps done, 0 or more, never more than a known total.
        total_steps: steps in all; 0 means not known.
        description: what is being done, for a person to read.
    """

    current_step: Annotated[_Count, Field(ge=0, le=2_147_483_647)]
    total_steps: Annotated[_Count, Field(ge=0, le=2_147_483_647)]
    description: Line = ""

    @model_validator(mode="after")
    def _refuse_overshoot(self) -> Self:
        if self.total_steps and self.current_step > self.total_steps:
            raise ValueError(
                f"current_step {self.current_step} is beyond total_steps {self.total_steps}"
            )
        return self

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated properties
    @property
    def percentage(self) -> float:
        """Return 0 to 100, one digit after the point; 0 while the total is not known."""
        return round(100 * self.current_step / self.total_steps, 1) if self.total_steps else 0.0
