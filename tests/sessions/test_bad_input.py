"""Whatever a manager is given, it answers clearly and changes all or nothing: here, nothing."""

import math
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydantic import ValidationError

from session_mgmt import (
    GenerationRequest,
    GenerationStatus,
    InvalidInputError,
    ProgressUpdate,
    ScenePrompt,
    SessionNotFoundError,
)
from session_mgmt.models import Job
from session_mgmt.sessions import SessionManager

pytestmark = pytest.mark.django_db

REQUEST = GenerationRequest(story_text="A story.")
NOBODY = UUID(int=5)
HUGE = 10**5000  # more digits than Python turns into text
BAD_IDS = [
    *("", "x", "\x00", "\ud800", "1" * 31, "g" * 32, "1" * 100_000, str(NOBODY), NOBODY),
    *(None, 0, True, 1.5, math.nan, 10**400, HUGE, b"x", NOBODY.bytes, [], {}, object()),
]
NOT_TEXT = [5, True, b"x", bytearray(b"x"), ["x"], {"x": 1}, object()]
UNSTORABLE = ["a\x00", "\ud800", b"a\x00", "x" * 2001, b"x" * 2001]
NOT_STEPS = [-1, True, 1.5, math.nan, math.inf, 2**31, 10**400, HUGE, "x", "", None, [], object()]
NOT_STATUS = [
    "lost",
    "PENDING",
    "",
    "\x00",
    "\ud800",
    None,
    5,
    HUGE,
    True,
    [],
    {},
    b"failed",
    object(),
]
NOT_HOURS = [
    -1,
    -0.001,
    True,
    math.nan,
    math.inf,
    10**400,
    HUGE,
    1e308,
    "6",
    [],
    timedelta(hours=6),
]
NOT_WAITS = [-1, True, math.nan, math.inf, 10**400, HUGE, 1e12, "1", [], timedelta(seconds=1)]
NOT_LIMITS = [0, -1, True, 1.0, math.nan, 2**31, 10**400, HUGE, "5", [], object()]
NOT_INTERVALS = [
    0,
    -1,
    True,
    math.nan,
    math.inf,
    10**400,
    HUGE,
    "5",
    [],
    timedelta(0),
    timedelta(-1),
]
NOT_CALLABLE = [None, 5, "print", [], {}]
NOT_OWNERS = [5, HUGE, "anna", True, object(), Group(pk=1), AnonymousUser(), get_user_model()(pk=1)]
NOT_IDS = [None, 5, True, 1.5, object(), str(NOBODY), "x", b"x", NOBODY]
NOT_MAPPINGS = [None, 5, "status", ["status"], [("status", "failed")], {"status"}, object()]
WRONG_OFFSETS = [
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
]
NOT_MOMENTS = [5, "2020-01-01", True, datetime(2020, 1, 1), datetime.now(UTC).date()]  # noqa: DTZ001
GOOD = ScenePrompt(scene_number=2)
NOT_A_REQUEST = [None, "A story.", {"story_text": "A story."}, GenerationRequest, GOOD]
# Values that went round their own validation, as pydantic lets them.
HOLLOW_REQUESTS = [
    GenerationRequest.model_construct(),
    GenerationRequest.model_construct(story_text="x", media_type="cinematic", num_scenes=object()),
    REQUEST.model_copy(update={"story_text": "a\x00"}),
    REQUEST.model_copy(update={"num_scenes": 10**400}),
    REQUEST.model_copy(update={"num_scenes": math.nan}),
]
HOLLOW_SCENES = [
    ScenePrompt.model_construct(title="no number"),
    ScenePrompt.model_construct(scene_number=[1]),
    *(GOOD.model_copy(update={"scene_number": n}) for n in (0, -1, 2**31, None, "x", math.nan)),
    *(GOOD.model_copy(update={"title": text}) for text in ("a\x00", "\ud800", "x" * 2001, 5)),
    GOOD.model_copy(update={"prompt": "x" * 100_001}),
    *(
        GOOD.model_copy(update={"metadata": value})
        for value in ([], None, {"a": math.nan}, {"a": object()}, {"a": {1}}, {"\x00": 1})
    ),
    GOOD.model_copy(update={"metadata": {"a": HUGE}}),
]
STEP = ProgressUpdate(current_step=1, total_steps=2)
HOLLOW_STEPS = [
    ProgressUpdate.model_construct(),
    *(STEP.model_copy(update={"current_step": n}) for n in (3, -1, 2**31, None, "x", math.nan)),
    *(STEP.model_copy(update={"description": text}) for text in ("a\x00", "\ud800", None)),
]
NOT_SCENES = [None, 5, "x", GOOD, {"scene_number": 1}, object()]


def shortly(value):
    """Return a name for a value in the name of a test, the same in every run."""
    try:
        return ascii(value).partition(" at 0x")[0][-50:]
    except (AttributeError, TypeError, ValueError):
        return f"{type(value).__name__}, hollow or huge"


class Call:
    """A call of a manager, with `...` where the id of a session belongs, and what it refuses."""

    def __init__(self, field, name, *args, **kwargs):
        self.field, self.name, self.args, self.kwargs = field, name, args, kwargs
        self.shown = (*args, *kwargs.values())

    def __call__(self, manager, session_id):
        args = [session_id if arg is ... else arg for arg in self.args]
        return getattr(manager, self.name)(*args, **self.kwargs)

    def __str__(self):
        shown = [shortly(value) for value in self.shown if value not in (..., REQUEST)]
        return "-".join([self.name, *shown])


def changes(name, value):
    updates = {"error_message": "half", name: value}
    calls = [
        Call(name, "atomic_session_update", ..., updates),
        Call(name, "with_session_lock", ..., partial(change, updates)),
    ]
    for call in calls:
        call.shown = (name, value)
    return calls


def change(updates, session):
    for name, value in updates.items():
        setattr(session, name, value)


REFUSED = [
    *(Call("request", "create_session", value) for value in NOT_A_REQUEST + HOLLOW_REQUESTS),
    *(Call("request", "start", value) for value in NOT_A_REQUEST),
    *(Call("owner", "start", REQUEST, owner=value) for value in NOT_OWNERS),
    *(
        Call("idempotency_key", "start", REQUEST, idempotency_key=value)
        for value in [*NOT_TEXT, 0, False, b"", [], "a\x00", "\ud800", "x" * 201]
    ),
    *(Call("status", "transition_to", ..., value) for value in NOT_STATUS),
    *(Call("status", "update_session_status", ..., value) for value in NOT_STATUS),
    *(Call("status", "get_sessions_by_status", value) for value in NOT_STATUS),
    *(
        Call("error_message", "update_session_status", ..., GenerationStatus.FAILED, value)
        for value in [*NOT_TEXT, 0, False, b"", []]
    ),
    *(Call("current_step", "update_session_progress", ..., n, 0, "") for n in NOT_STEPS),
    *(Call("total_steps", "update_session_progress", ..., 0, n, "") for n in NOT_STEPS),
    Call("total_steps", "update_session_progress", ..., 5, 4, ""),
    *(
        Call("description", "update_session_progress", ..., 1, 2, value)
        for value in [None, 5, True, ["x"], object(), *UNSTORABLE]
    ),
    *(Call("scenes", "add_scene_to_session", ..., value) for value in [None, {}, "x", 1, [GOOD]]),
    *(Call("scenes", "add_scene_to_session", ..., value) for value in HOLLOW_SCENES),
    *(Call("scenes", "set_session_scenes", ..., value) for value in NOT_SCENES),
    *(Call("scenes", "set_session_scenes", ..., [GOOD, value]) for value in HOLLOW_SCENES),
    Call("scenes", "set_session_scenes", ..., [GOOD, GOOD]),
    *(Call("operation", "with_session_lock", ..., value) for value in NOT_CALLABLE),
    *(Call("timeout", "with_session_lock", ..., str, timeout=value) for value in NOT_WAITS),
    *(Call("updates", "atomic_session_update", ..., value) for value in NOT_MAPPINGS),
    *(call for value in NOT_STATUS for call in changes("status", value)),
    *(call for value in [*NOT_TEXT, None] for call in changes("error_message", value)),
    *(
        call
        for value in [*NOT_A_REQUEST, *HOLLOW_REQUESTS]
        for call in changes("request_data", value)
    ),
    *(call for value in [5, "x", (1, 2), {}, *HOLLOW_STEPS] for call in changes("progress", value)),
    *(call for value in NOT_SCENES for call in changes("scenes", value)),
    *(call for value in HOLLOW_SCENES for call in changes("scenes", [GOOD, value])),
    *(call for value in [0, None, "yes", 2] for call in changes("is_active", value)),
    *(
        call
        for name in ("created_at", "renewed_at", "last_accessed")
        for value in NOT_MOMENTS + WRONG_OFFSETS
        for call in changes(name, value)
    ),
    *(
        call
        for value in [0, 99, -1, "x", 10**30, HUGE, math.nan, [], {}]
        for call in changes("owner_id", value)
    ),
    *(Call("owner", "atomic_session_update", ..., {"owner": value}) for value in NOT_OWNERS),
    *(
        Call(name, "atomic_session_update", ..., {"error_message": "half", name: 5})
        for name in ("id", "pk", "session_id", "last_event", "age_from", "finished_at")
    ),
    *(Call("session_ids", "bulk_update_sessions", value, str) for value in NOT_IDS),
    *(Call("operation", "bulk_update_sessions", [...], value) for value in NOT_CALLABLE),
    *(Call("max_age_hours", "cleanup_expired_sessions", value) for value in NOT_HOURS),
    *(Call("max_age_hours", "_cleanup_expired_sessions", value) for value in NOT_HOURS),
    *(Call("max_age_hours", "cleanup_completed_sessions", value) for value in [*NOT_HOURS, None]),
    *(
        Call("event_type", name, value, print)
        for name in ("register_session_callback", "unregister_session_callback")
        for value in ("created", "", "\x00", "__name__", None, 5, [], {})
    ),
    *(Call("callback", "register_session_callback", "session_created", v) for v in NOT_CALLABLE),
    *(Call("max_sessions", "reconfigure", value) for value in NOT_LIMITS),
    *(Call("cleanup_interval", "reconfigure", 1, value) for value in NOT_INTERVALS),
    *(Call("timeout", "shutdown", value) for value in [v for v in NOT_WAITS if v != 1e12] + [None]),
    *(Call("max_sessions", "__class__", value) for value in NOT_LIMITS),
    *(Call("cleanup_interval", "__class__", 5, value) for value in NOT_INTERVALS),
    *(Call("policy", "__class__", 5, 60, value) for value in ["", "EVICT", None, 5, [], {}]),
    *(
        Call("config", "create_with_config", value)
        for value in [None, 5, [], "x", [("policy", "evict")], {"max": 5}, {1: 2, "x": 3}]
    ),
    Call("max_sessions", "create_with_config", {"max_sessions": "5"}),
    Call("policy", "create_with_config", {"policy": "none"}),
]  # fmt: skip
UNKNOWN = [
    *(Call(answer, name, ...) for name, answer in [
        ("get_session", None),
        ("remove_session", False),
        ("renew_session", False),
        ("recover_corrupted_session", False),
        ("reopen", SessionNotFoundError),
    ]),
    Call(False, "update_session_status", ..., GenerationStatus.FAILED, "x"),
    Call(SessionNotFoundError, "transition_to", ..., GenerationStatus.FAILED),
    Call(False, "update_session_progress", ..., 1, 2, ""),
    Call(False, "add_scene_to_session", ..., GOOD),
    Call(False, "set_session_scenes", ..., [GOOD]),
    Call(SessionNotFoundError, "with_session_lock", ..., str),
    Call(SessionNotFoundError, "with_session_lock", ..., str, timeout=1),
    Call(False, "atomic_session_update", ..., {"error_message": "x"}),
]  # fmt: skip


def everything():
    """Return every row of the library's tables."""
    connection.check_constraints()
    models = apps.get_app_config("session_mgmt").get_models()
    return {model.__name__: sorted(model.objects.values_list(), key=str) for model in models}


@pytest.fixture
def manager():
    return SessionManager(cleanup_interval=None)


@pytest.fixture
def session_id(manager):
    """Return the id of a session that has something of everything, beside another that has not."""
    manager.create_session(REQUEST)
    session = manager.start(REQUEST, idempotency_key="k")
    manager.add_scene_to_session(session.session_id, ScenePrompt(scene_number=1, title="one"))
    manager.update_session_progress(session.session_id, 1, 4, "Drawing")
    Job.objects.create_if_not_exists("any", "1", session=session)
    Job.objects.create_if_not_exists("any", "without a session")
    return session.session_id


@pytest.mark.parametrize("call", REFUSED, ids=str)
def test_what_cannot_be_is_refused_by_name_and_nothing_is_changed(manager, session_id, call):
    before = everything()
    call.args = [[session_id] if arg == [...] else arg for arg in call.args]
    with pytest.raises((InvalidInputError, ValidationError)) as caught:
        call(manager, session_id)
    assert call.field in str(caught.value)
    assert everything() == before
    assert (manager.max_sessions, manager.cleanup_interval) == (100, None)


@pytest.mark.parametrize("bad_id", BAD_IDS, ids=shortly)
@pytest.mark.parametrize("call", UNKNOWN, ids=lambda call: call.name)
def test_an_id_that_no_session_has_gets_its_answer_and_nothing_is_changed(
    manager, session_id, call, bad_id
):
    before = everything()
    if call.field is SessionNotFoundError:
        with pytest.raises(SessionNotFoundError) as caught:
            call(manager, bad_id)
        assert caught.value.session_id is bad_id
    else:
        assert call(manager, bad_id) is call.field
    assert everything() == before


def test_ids_that_no_session_has_are_passed_over_in_bulk(manager, session_id):
    before = everything()
    assert manager.bulk_update_sessions(BAD_IDS, lambda _: pytest.fail("called")) == 0
    assert manager.bulk_update_sessions([], str) == 0
    assert everything() == before


def test_a_bad_session_in_bulk_stays_whole_and_the_others_are_changed(manager, session_id):
    good = manager.create_session(REQUEST)

    def spoil(session):
        session.error_message = "changed"
        session.status = GenerationStatus.PROCESSING
        if session.session_id == session_id:
            session.scenes.append("no scene")

    before = everything()
    assert manager.bulk_update_sessions([session_id, good], spoil) == 1
    assert manager.get_session(good).error_message == "changed"
    after = everything()
    for rows in (*before.values(), *after.values()):
        rows[:] = [row for row in rows if UUID(good) not in row]
    assert after == before


def test_a_malformed_id_does_not_lock_jobs_that_have_no_session(manager, session_id):
    with CaptureQueriesContext(connection) as captured:
        assert manager.remove_session("x") is False
    assert not [query["sql"] for query in captured if "session_mgmt_job" in query["sql"]]


def test_a_session_is_closed_to_changes_after_an_operation_that_failed(manager, session_id):
    kept = []
    with pytest.raises(ZeroDivisionError):
        manager.with_session_lock(session_id, lambda session: kept.append(session) or 1 / 0)
    with pytest.raises(AttributeError, match="with_session_lock only"):
        kept[0].progress = STEP


@pytest.mark.parametrize("interval", [1e12, timedelta.max])
def test_a_thread_does_not_die_of_an_interval_that_is_too_long_to_wait(interval):
    try:
        manager = SessionManager(cleanup_interval=interval)
    except InvalidInputError as refusal:
        assert refusal.field == "cleanup_interval"  # noqa: PT017 # refusing it is as good
        return
    manager.create_session(REQUEST)
    manager._cleanup_timer._thread.join(0.2)
    assert manager.cleanup_active
    assert manager.shutdown()


def test_attributes_that_a_session_does_not_have_are_passed_over(manager, session_id):
    updates = {"nonsense": 1, 5: 6, None: 7, "__class__": int, "objects": 1, "": 2, "\x00": 3}
    before = everything()
    assert manager.atomic_session_update(session_id, updates) is True
    after = everything()
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"GenerationSession"}
