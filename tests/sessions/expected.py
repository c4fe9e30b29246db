"""What a session must be, as a plain object, and the values that its properties are tried with."""

from datetime import timedelta

from django.utils import timezone
from hypothesis import strategies as st

from session_mgmt import GenerationRequest, GenerationStatus, ProgressUpdate, ScenePrompt
from session_mgmt.states import TRANSITIONS

HOUR = timedelta(hours=1)
AGES = st.sampled_from([0.5, 2, 5.5, 7, 23, 25])  # far from every limit
WHICH = st.integers(0, 9)
STATUSES = st.sampled_from(GenerationStatus)
REPORTS = st.sampled_from(["", "no ink", "a\x00b", "é😀"])
REQUESTS = st.sampled_from([GenerationRequest(story_text=text) for text in ("One.", "Two.")])
SCENES = st.builds(
    ScenePrompt,
    scene_number=st.integers(1, 4),
    title=st.sampled_from(["", "a", "é😀"]),
    metadata=st.sampled_from([{}, {"a": [1, None]}]),
)
SCENE_LISTS = st.lists(SCENES, max_size=3, unique_by=lambda scene: scene.scene_number)
STEPS = st.tuples(st.integers(-1, 4), st.integers(-1, 4), st.sampled_from(["", "Half", "a\x00"]))
GOOD_STEPS = st.tuples(st.integers(0, 2), st.sampled_from([0, 2, 4]), st.just("Half"))
UPDATES = st.fixed_dictionaries(
    {},
    optional={
        "status": STATUSES,
        "error_message": REPORTS,
        "progress": st.none() | GOOD_STEPS,
        "scenes": SCENE_LISTS,
    },
)
AGE_LIMITS = st.sampled_from([None, 0.1, 1.5, 3, 10, 24])
FINAL = [status for status in GenerationStatus if not TRANSITIONS[status]]


class OnPurposeError(Exception):
    """What an operation raises on purpose."""


class Expected:
    """A session as a plain object: what its rows must say."""

    def __init__(self, request, key, created_at):
        self.request, self.key, self.created_at = request, key, created_at
        self.renewed_at = None
        self.status, self.error = GenerationStatus.PENDING, ""
        self.progress, self.scenes = None, {}
        self.events = [("session_created", {})]

    @property
    def age_from(self):
        return self.renewed_at or self.created_at

    def older_than(self, hours):
        return self.age_from < timezone.now() - hours * HOUR

    def can_become(self, status):
        return status == self.status or status in TRANSITIONS[self.status]

    def become(self, status, error=""):
        if status != self.status:
            self.status, self.error = status, error.replace("\x00", "\ufffd") or self.error
            self.events.append(("status_changed", {"status": status.value}))

    def replace_scenes(self, scenes):
        self.scenes = {scene.scene_number: scene for scene in scenes}
        self.events.append(("scenes_replaced", {"scene_numbers": [*self.scenes]}))

    def apply(self, updates):
        """Do what the attributes' assignment in an operation does, or say that it cannot."""
        if not self.can_become(updates.get("status", self.status)):
            return False
        self.error = updates.get("error_message", self.error).replace("\x00", "\ufffd")
        self.become(updates.get("status", self.status))
        self.progress = updates.get("progress", self.progress)
        scenes = updates.get("scenes")
        if scenes is not None and scenes != self.in_order():
            self.replace_scenes(scenes)
        return True

    def in_order(self):
        return [self.scenes[number] for number in sorted(self.scenes)]

    def has_expired(self, max_age=24):
        limits = {GenerationStatus.COMPLETED: 6, GenerationStatus.FAILED: 1}
        return self.older_than(min(max_age, limits.get(self.status, max_age)))

    def row(self):
        is_final = self.status in FINAL
        return (
            *(self.status, self.request, self.error, self.key, self.created_at),
            *(self.renewed_at, self.age_from, is_final, len(self.events)),
        )


def typed(updates):
    """Return the updates with progress as the library takes it."""
    step = updates.get("progress")
    return {**updates, "progress": progress(step)} if step else updates


def progress(step):
    current, total, description = step
    return ProgressUpdate(current_step=current, total_steps=total, description=description)


def assign(session, updates):
    for name, value in typed(updates).items():
        setattr(session, name, value)
