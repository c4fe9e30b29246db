"""What a handler gets: its parameters, its session, and writes that only the owner can make."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Sized
from functools import cached_property
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from django.db import connections

from session_mgmt.conf import get_settings
from session_mgmt.db import db_retry
from session_mgmt.exceptions import InvalidInputError, SessionNotFoundError, shown
from session_mgmt.jobs.fence import Fence
from session_mgmt.models import GenerationSession, JobStep, Progress, Scene
from session_mgmt.models.job_step import MAX_STEP_NAME
from session_mgmt.schemas import ProgressUpdate
from session_mgmt.sessions.scenes import add_scene
from session_mgmt.signals import announce, progress_updated
from session_mgmt.validation import JSON, checked_json, checked_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from session_mgmt.jobs.drain import StopSignals
    from session_mgmt.models import Job
    from session_mgmt.schemas import ScenePrompt

__all__ = ["JobContext"]

P = ParamSpec("P")
T = TypeVar("T")


class JobContext:
    """One attempt, as its handler sees it.

    Whatever is written here is fenced (see `jobs.fence`): an attempt that lost its job raises
    LeaseLostError and writes nothing, one whose job was cancelled raises JobCancelledError. When
    the worker is to stop, the call raises WorkerStoppingError after its write; another worker goes
    on. Handlers let these pass. Writes wait for a database that is away, as long as a lease lasts;
    reads and `atomic` do not.

    Attributes:
        job: the row as it was claimed.
    """

    def __init__(self, job: Job, signals: StopSignals) -> None:
        self.job = copy.copy(job)  # what the handler does to it is not what the attempt goes by
        self.fence = Fence(job, signals)
        self._steps: dict[str, JSON] | None = {} if job.attempt == 1 else None

    @property
    def parameters(self) -> dict[str, object]:
        """Return the job's parameters."""
        parameters: dict[str, object] = self.job.parameters
        return parameters

    @cached_property
    @db_retry
    def session(self) -> GenerationSession:
        """Return the session whose work this is, read once.

        What is written through it is not fenced: write through the context.

        Raises:
            SessionNotFoundError: the job has none, or it was removed.
        """
        sessions = GenerationSession.objects.using(self.fence.using)
        session = sessions.with_id(self.job.session_id).first()
        if session is None:
            raise SessionNotFoundError(self.job.session_id)
        return session

    @property
    def cancelled(self) -> bool:
        """Tell whether the handler should stop: the job was cancelled, or lost; one query.

        A handler that returns upon that leaves its job cancelled, whatever it returns.

        Raises:
            WorkerStoppingError: the worker is to stop.
        """
        self.fence.look_around()
        return not self.fence.is_open()

    @property
    @db_retry
    def saved_scenes(self) -> frozenset[int]:
        """Return the numbers of the scenes that earlier attempts, or this one, have saved."""
        rows = Scene.objects.using(self.fence.using).filter(session_id=self.job.session_id)
        return frozenset(rows.values_list("scene_number", flat=True))

    def progress(self, current_step: int, total_steps: int, description: str = "") -> None:
        """Store how far the work has come, for the job and for its session.

        Raises:
            pydantic.ValidationError: negative steps, or steps beyond the total.
        """
        update = ProgressUpdate(
            current_step=current_step, total_steps=total_steps, description=description
        )
        self.fence.write(
            lambda _: self._record(update),
            progress=update.percentage / 100,
            current_step=update.description,
        )

    def track(
        self, items: Iterable[T], *, description: str = "", total: int | None = None
    ) -> Iterator[T]:
        """Yield the items and let the progress follow, written at most every `FLUSH_INTERVAL`.

        Args:
            items: asking for the next one is a step.
            description: what is being done.
            total: how many there are; None asks `len()`, and is unknown where there is none.
        """
        if total is None:
            total = len(items) if isinstance(items, Sized) else 0
        pause = get_settings().FLUSH_INTERVAL.total_seconds()
        written, done = float("-inf"), 0
        for item in items:
            if time.monotonic() - written >= pause:
                self.progress(done, max(total, done) if total else 0, description)
                written = time.monotonic()
            yield item
            done += 1
        self.progress(done, max(total, done) if total else 0, description)

    def save_scene(self, scene: ScenePrompt) -> None:
        """Store a scene: a checkpoint that the next attempt finds in `saved_scenes`.

        Raises:
            InvalidInputError: not a `ScenePrompt`, or one that cannot be stored.
            SessionNotFoundError: the job has no session.
        """

        def save(is_repeat: bool) -> None:
            if is_repeat and self._has(scene):
                return
            if not add_scene(self.job.session_id, scene, self.fence.using):
                raise SessionNotFoundError(self.job.session_id)

        self.fence.write(save)

    def step(self, name: str, fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> JSON:
        """Return what `fn(*args, **kwargs)` gives, and on later attempts what it gave then.

        `fn` is not called once the job is cancelled or lost. Its result is stored as soon as it
        returns. An attempt that dies before that calls it again, so what it does elsewhere must
        bear being done twice.

        Args:
            name: what the step is called, up to 200 characters; unique within the job.
            fn: returns a JSON value; tuples come back as lists, keys as text.
            *args: handed on; on later attempts they are not looked at.
            **kwargs: so are these.

        Raises:
            InvalidInputError: the name is refused, or the result is not JSON; nothing is stored.
        """
        _check_name(name)
        done = self._done_steps()
        if name not in done:
            self.fence.require_open()
            result = checked_json(f"result of step {name!r}", fn(*args, **kwargs))
            step = JobStep(job_id=self.job.pk, name=name, result=result)
            steps = JobStep.objects.using(self.fence.using)
            # A COMMIT that was not answered may have stored it.
            self.fence.write(lambda _: steps.bulk_create([step], ignore_conflicts=True))
            done[name] = result
        return copy.deepcopy(done[name])

    def atomic(self) -> AbstractContextManager[None]:
        """Open a transaction for rows of your own: it commits only if this attempt owns the job.

        The job stays locked until its end, which also keeps the lease; so keep it short.
        """
        return self.fence.atomic()

    @db_retry
    def _done_steps(self) -> dict[str, JSON]:
        is_final = not connections[self.fence.using].in_atomic_block
        if is_final and self._steps is not None:
            return self._steps
        rows = JobStep.objects.using(self.fence.using).filter(job=self.job.pk)
        found: dict[str, JSON] = dict(rows.values_list("name", "result"))
        # What is stored in a transaction that is open may be rolled back.
        self._steps = found if is_final else None
        return found

    def _has(self, scene: ScenePrompt) -> bool:
        rows = Scene.objects.using(self.fence.using).filter(session_id=self.job.session_id)
        stored = rows.filter(scene_number=scene.scene_number).first()
        return stored is not None and stored.as_prompt() == scene

    def _record(self, update: ProgressUpdate) -> None:
        session_id, using = self.job.session_id, self.fence.using
        if session_id and Progress.objects.using(using).record(session_id, update):
            announce(progress_updated, Progress, using, session_id=str(session_id), progress=update)


def _check_name(name: object) -> None:
    if not name or not isinstance(name, str):
        raise InvalidInputError("name", f"must be a text that is not empty, not {shown(name)}")
    checked_text("name", name, MAX_STEP_NAME)
