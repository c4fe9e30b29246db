"""Sessions and what belongs to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import factory
from factory.django import DjangoModelFactory

from session_mgmt.models import GenerationSession, Progress, Scene, SessionEvent
from session_mgmt.schemas import GenerationRequest, MediaType
from session_mgmt.states import GenerationStatus
from session_mgmt.testing.factories.base import NumberedFactory, ended, moment
from session_mgmt.validation import checked_status

__all__ = [
    "GenerationRequestFactory",
    "GenerationSessionFactory",
    "ProgressFactory",
    "SceneFactory",
    "SessionEventFactory",
]

_STORIES: Final = (
    "Anna climbed the hill at dawn. A boat came round the point. She waved her red scarf.",
    "The lighthouse keeper wound the clock. Snow covered the steps. Nobody had come since May.",
    "Two foxes crossed the frozen river. The ice sang under them. On the far side was a fire.",
)
_SHOTS: Final = ("The hill at dawn", "A boat comes round the point", "A fire in the house")


class GenerationRequestFactory(factory.Factory[GenerationRequest]):
    """A request for three scenes of a short story."""

    class Meta:
        model = GenerationRequest

    story_text = factory.Sequence(lambda n: _STORIES[n % len(_STORIES)])
    media_type = MediaType.CINEMATIC
    num_scenes = 3


class GenerationSessionFactory(DjangoModelFactory[GenerationSession]):
    """A pending session of nobody; traits `processing`, `completed`, `failed`, `cancelled`.

    `request_data__num_scenes=5` changes the request. `last_accessed` is when it ended, or began:
    one that is processed and older than STUCK_AFTER is stuck.
    """

    class Meta:
        model = GenerationSession

    class Params:
        age = timedelta(0)
        processing = factory.Trait(status=GenerationStatus.PROCESSING)
        completed = factory.Trait(status=GenerationStatus.COMPLETED)
        failed = factory.Trait(status=GenerationStatus.FAILED)
        cancelled = factory.Trait(status=GenerationStatus.CANCELLED)

    owner = None
    status = GenerationStatus.PENDING
    request_data = factory.SubFactory(GenerationRequestFactory)
    created_at = moment()
    finished_at = factory.LazyAttribute(
        lambda row: ended(row.created_at) if checked_status(row.status).is_terminal else None
    )
    last_accessed = factory.LazyAttribute(lambda row: row.finished_at or row.created_at)
    error_message = factory.LazyAttribute(
        lambda row: "The model gave no answer." if row.status == GenerationStatus.FAILED else ""
    )


class ProgressFactory(DjangoModelFactory[Progress]):
    """One of three steps of a session that is processed; traits `finished`, `unknown_total`."""

    class Meta:
        model = Progress

    class Params:
        age = timedelta(0)
        finished = factory.Trait(current_step=factory.SelfAttribute("total_steps"))
        unknown_total = factory.Trait(total_steps=0)

    session = factory.SubFactory(
        GenerationSessionFactory,
        processing=True,
        created_at=factory.SelfAttribute("..updated_at"),
    )
    current_step = 1
    total_steps = 3
    description = "Drawing the scenes"
    rate = None
    updated_at = moment()


class SceneFactory(NumberedFactory[Scene]):
    """A session's next scene."""

    _number = "scene_number"
    _like = ("session",)

    class Meta:
        model = Scene

    class Params:
        age = timedelta(0)

    session = factory.SubFactory(
        GenerationSessionFactory,
        processing=True,
        created_at=factory.SelfAttribute("..created_at"),
    )
    title = factory.Sequence(lambda n: _SHOTS[n % len(_SHOTS)])
    description = factory.LazyAttribute(lambda row: f"{row.title}, seen from far away.")
    prompt = factory.LazyAttribute(lambda row: f"{row.title}, wide shot, soft light")
    metadata = factory.LazyFunction(dict)
    created_at = moment()


class SessionEventFactory(NumberedFactory[SessionEvent]):
    """A session's next event: that it came to its status."""

    _number = "seq"
    _like = ("session",)

    class Meta:
        model = SessionEvent

    class Params:
        age = timedelta(0)

    session = factory.SubFactory(
        GenerationSessionFactory, created_at=factory.SelfAttribute("..created_at")
    )
    kind = "status_changed"
    data = factory.LazyAttribute(
        lambda row: {"status": str(row.session.status)} if row.kind == "status_changed" else {}
    )
    created_at = moment()

    @classmethod
    def _create(
        cls,
        model_class: type[SessionEvent],
        *args: Any,  # Any: as factory-boy
        **values: Any,  # Any: as factory-boy
    ) -> SessionEvent:
        event = super()._create(model_class, *args, **values)
        # The manager numbers the session's next event by this column.
        session = event.session
        sessions = GenerationSession.objects.using(session._state.db).filter(pk=session.pk)
        if sessions.filter(last_event__lt=event.seq).update(last_event=event.seq):
            session.last_event = event.seq
        return event
