"""A target gets one job, and a call that is refused leaves nothing behind (P1)."""

import pytest
from django.db import transaction

from session_mgmt import GenerationRequest, InvalidInputError, JobStatus
from session_mgmt.models import GenerationSession, Job
from session_mgmt.sessions import session_manager

pytestmark = pytest.mark.django_db


def create(**overrides):
    return Job.objects.create_if_not_exists(
        **{"job_type": "video_process", "target_id": "video123", **overrides}
    )


def test_the_second_call_gets_the_first_calls_job():
    job, created = create(parameters={"url": "..."})
    again, created_again = create(parameters={"url": "other"})
    assert (created, created_again) == (True, False)
    assert again == job
    assert again.parameters == {"url": "..."}
    assert (job.run_number, job.status, job.attempt) == (1, JobStatus.PENDING, 0)


def test_a_new_job_has_every_value_as_if_read_from_the_table():
    session = session_manager.start(GenerationRequest(story_text="x"))
    job, _ = create(session=session, parameters='{"a": [1, null, "é"]}', max_retries=0)
    stored = Job.objects.get(pk=job.pk)
    for field in Job._meta.concrete_fields:
        if field.name not in ("dispatched_at", "updated_at"):
            assert getattr(job, field.attname) == getattr(stored, field.attname), field.name
    assert job.session == session
    assert job.parameters == {"a": [1, None, "é"]}


@pytest.mark.parametrize("ended", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_after_the_end_a_call_starts_the_next_run(ended):
    first, _ = create()
    Job.objects.update(status=ended)
    second, created = create()
    assert created
    assert (second.run_number, second.pk != first.pk) == (2, True)


def test_check_statuses_says_which_runs_count():
    first, _ = create()
    Job.objects.update(status=JobStatus.RUNNING)
    assert create(check_statuses=["running"]) == (first, False)
    assert create(check_statuses=["completed", "pending"])[1] is True
    Job.objects.update(status=JobStatus.COMPLETED)
    latest, created = create(check_statuses=None)
    assert (latest.run_number, created) == (2, False)


def test_other_targets_and_types_have_runs_of_their_own():
    jobs = [create(), create(target_id="video124"), create(job_type="audio_process")]
    assert [(job.run_number, created) for job, created in jobs] == [(1, True)] * 3


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"job_type": ""}, "job_type"),
        ({"job_type": None}, "job_type"),
        ({"job_type": "x" * 101}, "job_type"),
        ({"target_id": "x" * 201}, "target_id"),
        ({"target_id": "a\x00"}, "target_id"),
        ({"target_id": "\ud800"}, "target_id"),
        ({"target_id": 5}, "target_id"),
        ({"parameters": "{"}, "parameters"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"a": float("nan")}}, "parameters"),
        ({"check_statuses": []}, "check_statuses"),
        ({"check_statuses": "pending"}, "check_statuses"),
        ({"check_statuses": 5}, "check_statuses"),
        ({"session": "x"}, "session"),
        ({"session": GenerationSession()}, "session"),
        ({"check_statuses": ["waiting"]}, "check_statuses"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": "3"}, "max_retries"),
    ],
)
def test_bad_input_is_refused_by_name_and_nothing_is_written(overrides, field):
    with pytest.raises(InvalidInputError) as caught:
        create(**overrides)
    assert caught.value.field == field
    assert not Job.objects.exists()


@pytest.mark.parametrize("target_id", ["a'b", 'a"b', "%s", "a;b--", "日本", "x" * 200])
def test_any_text_can_be_a_target(target_id):
    job, _ = create(target_id=target_id)
    assert job.target_id == target_id
    assert create(target_id=target_id) == (job, False)


def test_creation_is_one_statement_and_a_duplicate_two(django_assert_num_queries):
    with django_assert_num_queries(1):
        create()
    with django_assert_num_queries(2):
        create()


def test_a_rolled_back_job_never_was():
    with pytest.raises(RuntimeError), transaction.atomic():
        create()
        raise RuntimeError
    job, created = create()
    assert created
    assert job.run_number == 1


def test_creation_is_logged_as_in_the_seed(caplog):
    caplog.set_level("DEBUG", "session_mgmt.jobs")
    job, _ = create()
    create()
    assert caplog.messages == [
        f"Created new processing job: type=video_process, target=video123, id={job.pk}",
        "Job already exists: type=video_process, target=video123, status=pending",
    ]
