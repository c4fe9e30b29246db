"""Factories make rows that fit together, and that the app takes for its own."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus, InvalidInputError, JobStatus
from session_mgmt.models import (
    CapacityStripe,
    CommitToken,
    GenerationSession,
    Job,
    Progress,
    Scene,
    SessionEvent,
)
from session_mgmt.sessions import SessionManager
from session_mgmt.sessions.cleanup import prune_tokens
from session_mgmt.testing import factories
from session_mgmt.testing.factories import (
    CapacityStripeFactory,
    CommitTokenFactory,
    GenerationRequestFactory,
    GenerationSessionFactory,
    JobFactory,
    JobStepFactory,
    ProgressFactory,
    SceneFactory,
    SessionEventFactory,
    StoredObjectFactory,
)

pytestmark = pytest.mark.django_db

ROWS = [
    CapacityStripeFactory,
    CommitTokenFactory,
    GenerationSessionFactory,
    JobFactory,
    JobStepFactory,
    ProgressFactory,
    SceneFactory,
    SessionEventFactory,
    StoredObjectFactory,
]
SESSION_TRAITS = ["processing", "completed", "failed", "cancelled"]
JOB_TRAITS = ["running", "abandoned", "completed", "failed", "cancelled"]
TWO_DAYS = timedelta(days=2)


def about(moment, age):
    """Tell whether the moment is that long ago, give or take the length of a test."""
    return abs(timezone.now() - age - moment) < timedelta(minutes=1)


def test_there_is_a_factory_for_every_model():
    models = apps.get_app_config("session_mgmt").get_models()
    names = {f"{model.__name__}Factory" for model in models}
    assert names == {factory.__name__ for factory in ROWS}
    assert names | {"GenerationRequestFactory"} == set(factories.__all__)


# All of them


@pytest.mark.parametrize("factory", ROWS)
def test_rows_are_valid_and_can_be_made_in_number(factory):
    rows = factory.create_batch(5)
    model = type(rows[0])
    assert model.objects.count() == 5
    for row in model.objects.all():
        # A request has checked itself, and the column's own check does not know its type.
        row.full_clean(exclude=["request_data"], validate_unique=False)


@pytest.mark.parametrize("factory", ROWS)
def test_rows_can_be_built_without_saving(factory, django_assert_num_queries):
    with django_assert_num_queries(0):
        row, _ = factory.build_batch(2)
    assert row._state.adding
    assert not type(row).objects.exists()


@pytest.mark.parametrize(
    ("factory", "column"),
    [
        (CapacityStripeFactory, "counted_at"),
        (CommitTokenFactory, "created_at"),
        (GenerationSessionFactory, "created_at"),
        (JobFactory, "created_at"),
        (JobStepFactory, "created_at"),
        (ProgressFactory, "updated_at"),
        (SceneFactory, "created_at"),
        (SessionEventFactory, "created_at"),
        (StoredObjectFactory, "created_at"),
    ],
)
def test_a_row_can_be_of_any_age_with_its_session(factory, column):
    for age in (timedelta(0), TWO_DAYS):
        row = factory(age=age)
        row.refresh_from_db()
        assert about(getattr(row, column), age)
        if session := getattr(row, "session", None):
            assert session.created_at == getattr(row, column)


@pytest.mark.parametrize(
    "factory", [JobFactory, ProgressFactory, SceneFactory, SessionEventFactory]
)
def test_a_row_can_be_given_its_session(factory):
    session = GenerationSessionFactory(completed=True, age=TWO_DAYS)
    assert factory(session=session).session is session
    assert GenerationSession.objects.get().status is GenerationStatus.COMPLETED


# Sessions


@pytest.mark.parametrize("age", [timedelta(0), TWO_DAYS])
@pytest.mark.parametrize("trait", SESSION_TRAITS)
def test_a_sessions_columns_fit_its_status(trait, age):
    session = GenerationSessionFactory(**{trait: True}, age=age)
    session.refresh_from_db()
    assert session.status is GenerationStatus(trait)
    assert (session.finished_at is not None) is session.status.is_terminal
    assert bool(session.error_message) is (trait == "failed")
    assert session.created_at <= session.last_accessed <= timezone.now()
    if session.finished_at:
        assert session.created_at <= session.finished_at <= session.last_accessed


@pytest.mark.parametrize("status", [GenerationStatus.FAILED, "failed"])
def test_a_status_does_what_its_trait_does(status):
    session = GenerationSessionFactory(status=status)
    assert session.finished_at
    assert session.error_message


def test_a_status_that_does_not_exist_is_refused():
    with pytest.raises(InvalidInputError, match="done"):
        GenerationSessionFactory(status="done")


def test_a_session_is_pending_and_nobodys_unless_it_is_said():
    session = GenerationSessionFactory()
    assert session.status is GenerationStatus.PENDING
    assert session.owner is None
    owner = get_user_model().objects.create_user("anna")
    assert GenerationSessionFactory(owner=owner).owner == owner


def test_a_sessions_request_can_be_given_whole_or_in_part():
    request = GenerationRequestFactory(num_scenes=7)
    assert isinstance(request, GenerationRequest)
    session = GenerationSessionFactory(request_data=request)
    session.refresh_from_db()
    assert session.request_data == request
    assert GenerationSessionFactory(request_data__num_scenes=2).request_data.num_scenes == 2


@pytest.mark.parametrize(
    ("traits", "hours"),
    [({}, 24), ({"processing": True}, 24), ({"failed": True}, 1), ({"completed": True}, 6)],
)
def test_a_clean_up_sees_the_age(traits, hours):
    manager = SessionManager(None, None)
    GenerationSessionFactory(**traits, age=timedelta(hours=hours, minutes=-1))
    assert manager.cleanup_expired_sessions() == 0
    GenerationSessionFactory(**traits, age=timedelta(hours=hours, minutes=1))
    assert manager.cleanup_expired_sessions() == 1


def test_a_session_that_is_processed_for_too_long_is_stuck():
    GenerationSessionFactory(processing=True, age=timedelta(minutes=29))
    stuck = GenerationSessionFactory(processing=True, age=timedelta(minutes=31))
    assert list(GenerationSession.objects.all().stuck()) == [stuck]
    ProgressFactory(session=stuck)
    assert not GenerationSession.objects.all().stuck().exists()


# What belongs to sessions


def test_scenes_are_numbered_on():
    session = GenerationSessionFactory()
    SceneFactory.create_batch(2, session=session)
    SceneFactory(session=session, scene_number=5)
    SceneFactory(session=session)
    assert [scene.scene_number for scene in session.scenes] == [1, 2, 5, 6]
    assert SceneFactory().scene_number == 1
    assert all(scene.title and scene.description and scene.prompt for scene in session.scenes)


def test_the_managers_scenes_and_the_factorys_go_together():
    manager = SessionManager(None, None)
    scene = SceneFactory()
    changed = scene.as_prompt().model_copy(update={"title": "Another"})
    assert manager.add_scene_to_session(scene.session_id, changed)
    assert Scene.objects.get().title == "Another"


def test_events_are_numbered_on_by_factory_and_manager():
    manager = SessionManager(None, None)
    session = GenerationSessionFactory()
    SessionEventFactory(session=session)
    manager.transition_to(session.pk, GenerationStatus.PROCESSING)
    SessionEventFactory(session=session)
    manager.transition_to(session.pk, GenerationStatus.COMPLETED)
    SessionEventFactory(session=session, seq=9, kind="scene_added", data={"scene_number": 1})
    assert session.last_event == 9
    seqs = SessionEvent.objects.order_by("seq").values_list("seq", flat=True)
    assert list(seqs) == [1, 2, 3, 4, 9]
    session.refresh_from_db()
    assert session.last_event == 9


def test_an_event_tells_its_sessions_status_and_leaves_the_session_as_it_is():
    session = GenerationSessionFactory(processing=True, age=TWO_DAYS)
    event = SessionEventFactory(session=session)
    assert (event.kind, event.data) == ("status_changed", {"status": "processing"})
    session.refresh_from_db()
    assert about(session.last_accessed, TWO_DAYS)


def test_progress_is_its_sessions():
    session = ProgressFactory().session
    assert session.status is GenerationStatus.PROCESSING
    assert session.progress.percentage == 33.3
    assert ProgressFactory(finished=True, total_steps=8).session.progress.percentage == 100.0
    unknown = ProgressFactory(unknown_total=True)
    assert (unknown.current_step, unknown.total_steps) == (1, 0)
    assert Progress.objects.count() == 3


# Jobs


@pytest.mark.parametrize("age", [timedelta(0), TWO_DAYS])
@pytest.mark.parametrize("trait", JOB_TRAITS)
def test_a_jobs_columns_fit_its_status(trait, age):
    job = JobFactory(**{trait: True}, age=age)
    job.refresh_from_db()
    running = trait in {"running", "abandoned"}
    assert job.status is JobStatus("running" if running else trait)
    assert job.session.status is GenerationStatus("processing" if running else trait)
    assert (job.finished_at is None) is running
    assert (job.lease_expires_at is not None) is running
    assert (job.started_at is not None) is (trait != "cancelled")
    assert bool(job.error_message) is (trait == "failed")
    assert (job.result is not None) is (trait == "completed")
    assert (job.progress == 1.0) is (trait == "completed")
    if trait == "failed":
        assert job.attempt == job.max_retries + 1
    moments = [job.created_at, job.started_at, job.finished_at]
    known = [moment for moment in moments if moment]
    assert known == sorted(known)
    assert known[-1] <= timezone.now()


def test_a_job_is_pending_with_a_pending_session():
    job = JobFactory()
    assert job.status is JobStatus.PENDING
    assert job.session.status is GenerationStatus.PENDING
    assert (job.attempt, job.progress, job.run_number) == (0, 0.0, 1)
    assert Job.objects.claim(job.pk)


def test_runs_of_a_target_are_numbered_on_by_factory_and_app():
    JobFactory(job_type="a", target_id="x", completed=True)
    JobFactory(job_type="a", target_id="x", failed=True)
    JobFactory(job_type="a", target_id="y")
    job, created = Job.objects.create_if_not_exists("a", "x")
    assert (job.run_number, created) == (3, True)
    again = JobFactory(job_type="a", target_id="x", session=None)
    assert (again.run_number, again.session) == (4, None)


def test_a_waiting_job_of_the_factory_is_not_created_again():
    waiting = JobFactory(job_type="a", target_id="x")
    assert Job.objects.create_if_not_exists("a", "x") == (waiting, False)


def test_a_rescue_takes_an_abandoned_job_and_leaves_a_running_one():
    JobFactory(running=True, age=TWO_DAYS)
    abandoned = JobFactory(abandoned=True)
    assert list(Job.objects.all().abandoned()) == [abandoned]
    assert list(Job.objects.all().undelivered()) == []
    pending = JobFactory()
    assert list(Job.objects.all().undelivered()) == [pending]


def test_nothing_is_sent_or_delivered(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        JobFactory(failed=True)
        SceneFactory()
    assert callbacks == []


# The rest


def test_tokens_are_pruned_by_their_age():
    CommitTokenFactory(age=timedelta(days=8))
    young = CommitTokenFactory()
    assert prune_tokens("default") == 1
    assert list(CommitToken.objects.all()) == [young]


def test_a_set_of_stripes_is_what_a_manager_makes():
    CapacityStripeFactory.create_batch(16, age=timedelta(days=1))
    made = set(CapacityStripe.objects.values_list("pk", flat=True))
    CapacityStripe.objects.all().delete()
    SessionManager(5000, None).create_session(GenerationRequestFactory())
    assert set(CapacityStripe.objects.values_list("pk", flat=True)) == made


def test_a_manager_takes_places_from_the_factorys_stripes():
    CapacityStripeFactory.create_batch(16)
    SessionManager(5000, None).create_session(GenerationRequestFactory())
    assert sum(CapacityStripe.objects.values_list("free", flat=True)) == 159
