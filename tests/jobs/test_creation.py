"""A target gets one job, and a call that is refused leaves nothing behind (P1)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import transaction
from django.db.models.signals import post_init

from session_mgmt import GenerationRequest, InvalidInputError, JobStatus
from session_mgmt.models import GenerationSession, Job, job_creation
from session_mgmt.sessions import session_manager
from session_mgmt.signals import jobs_pending

pytestmark = pytest.mark.django_db


@pytest.fixture
def warnings(caplog):
    caplog.set_level("WARNING", "session_mgmt.jobs")
    return caplog


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


@pytest.mark.parametrize("is_watched", [False, True])
def test_a_new_job_has_every_value_as_if_read_from_the_table(is_watched, request):
    if is_watched:  # then it is made so that receivers are told
        receiver = lambda **_: None  # noqa: E731
        post_init.connect(receiver, sender=Job)
        request.addfinalizer(lambda: post_init.disconnect(receiver, sender=Job))
    session = session_manager.start(GenerationRequest(story_text="x"))
    moment = datetime.now(timezone(timedelta(hours=5))) + timedelta(hours=1)
    job, _ = create(
        session=session,
        parameters='{"a": [1, null, "é"], "b": 1e20, "c": 1.0, "d": 1e-9}',
        max_retries=0,
        priority=-100,
        run_after=moment,
    )
    stored = Job.objects.get(pk=job.pk)
    assert (job._state.adding, job._state.db, type(job.status)) == (False, "default", JobStatus)
    for field in Job._meta.concrete_fields:
        if field.name not in ("dispatched_at", "updated_at"):
            assert getattr(job, field.attname) == getattr(stored, field.attname), field.name
    assert job.session == session
    assert job.parameters == {"a": [1, None, "é"], "b": 10**20, "c": 1.0, "d": 1e-9}
    assert list(map(type, stored.parameters.values())) == [list, int, float, float]


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
        ({"max_retries": True}, "max_retries"),
        ({"priority": 101}, "priority"),
        ({"priority": -101}, "priority"),
        ({"priority": True}, "priority"),
        ({"priority": None}, "priority"),
        ({"priority": 1.0}, "priority"),
        ({"run_after": "tomorrow"}, "run_after"),
        ({"run_after": datetime(2026, 1, 1)}, "run_after"),  # noqa: DTZ001
        ({"run_after": datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))}, "run_after"),
        ({"check_statuses": [None]}, "check_statuses"),
        ({"check_statuses": [["pending"]]}, "check_statuses"),
        ({"parameters": "[]"}, "parameters"),
        ({"parameters": 5}, "parameters"),
        ({"parameters": '{"a": 1, "b": {"c": 1, "c": 1}}'}, "parameters"),
        ({"parameters": {1: "a", "1": "b"}}, "parameters"),
        ({"parameters": '{"a": 1e999}'}, "parameters"),
        ({"parameters": '{"a": NaN}'}, "parameters"),
        ({"parameters": f'{{"a": {"9" * 5000}}}'}, "parameters"),
        ({"parameters": {"a": 10**5000}}, "parameters"),
        ({"parameters": '{"a":' * 200 + "1" + "}" * 200}, "parameters"),
        ({"parameters": '{"a":' * 100_000 + "1" + "}" * 100_000}, "parameters"),
        ({"parameters": {"a": "\x00"}}, "parameters"),
        ({"parameters": '{"\\ud800": 1}'}, "parameters"),
        ({"parameters": {"a": "x" * 1_000_001}}, "parameters"),
        ({"parameters": {"a": object()}}, "parameters"),
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


def test_a_savepoint_that_is_undone_leaves_the_number_for_the_next_call():
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            create()
            raise RuntimeError
        job, created = create()
        assert (job.run_number, created) == (1, True)
    assert create() == (job, False)


def test_a_job_created_in_an_outer_transaction_is_there_for_its_other_calls():
    with transaction.atomic():
        job, created = create()
        assert created
        assert create() == (job, False)
    assert Job.objects.get() == job


def test_a_run_that_ends_between_the_two_statements_is_followed_by_a_new_one(monkeypatch):
    first, _ = create()
    read = job_creation._latest_run

    def end_and_read(*arguments):
        Job.objects.filter(pk=first.pk).update(status=JobStatus.COMPLETED)
        return read(*arguments)

    monkeypatch.setattr(job_creation, "_latest_run", end_and_read)
    job, created = create()
    assert (job.run_number, created) == (2, True)


@pytest.mark.parametrize(
    ("statuses", "is_there"),
    [
        (None, True),
        (["completed"], True),
        ({"completed", "failed"}, True),
        (("completed", "completed"), True),
        ([JobStatus.COMPLETED], True),
        ((status for status in ["failed", "completed"]), True),
        (JobStatus, True),
        (JobStatus.values, True),
        (iter([JobStatus.FAILED, "cancelled"]), False),
        ({"pending": 1}, False),
    ],
)
def test_statuses_may_be_final_ones_and_come_in_any_kind_of_list(statuses, is_there):
    first, _ = create()
    Job.objects.update(status=JobStatus.COMPLETED)
    job, created = create(check_statuses=statuses)
    assert (job == first, created) == (is_there, not is_there)


SAME = [
    ({"a": 1, "b": [1, {"c": None}]}, '{ "b":[1.0,{"c":null}],  "a":1e0}'),
    ({"a": 1e23}, '{"a": 100000000000000000000000}'),
    ({"a": -0.0}, '{"a": 0}'),
    ({"a": (1, 2)}, '{"a": [1, 2]}'),
    ({1: "é"}, '{"1": "\\u00e9"}'),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_parameters_that_mean_the_same_are_not_warned_about(one, other, warnings):
    first, _ = create(parameters=one)
    assert create(parameters=other) == (first, False)
    Job.objects.all().delete()
    second, _ = create(parameters=other)
    assert create(parameters=one) == (second, False)
    assert first.parameters == second.parameters
    assert Job.objects.filter(parameters=second.parameters).exists()
    assert not warnings.messages


@pytest.mark.parametrize(
    ("there", "asked", "keys"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": "secret"}, "a, b, c"),
        ({"a": 1}, {"a": True}, "a"),
        ({"a": [0]}, {"a": [False]}, "a"),
        ({"a": 1, "token": "secret"}, {}, "a, token"),
        ({"a\nb": 1}, {}, "'a\\nb'"),
        (
            {},
            {f"{n:02}": 1 for n in range(12)},
            ", ".join(f"{n:02}" for n in range(10)) + " and 2 more",
        ),
    ],
)
def test_a_warning_names_the_parameters_that_differ_but_no_value(there, asked, keys, warnings):
    create(parameters=there)
    job, created = create(parameters=asked)
    assert (job.parameters, created) == (there, False)
    assert warnings.messages == [
        "Job already exists with other parameters: type=video_process, target=video123, "
        f"differing keys: {keys}"
    ]
    assert "secret" not in warnings.text


def test_who_gave_no_parameters_is_not_warned(warnings):
    create(parameters={"a": 1})
    create()
    create(parameters=None)
    assert not warnings.messages


def test_what_was_given_can_be_changed_without_changing_the_job():
    given = {"a": [1], "b": 1}
    job, _ = create(parameters=given)
    given["a"].append(2)
    given["b"] = 2
    assert job.parameters == {"a": [1], "b": 1}


def test_a_job_is_announced_once_and_only_after_the_commit(django_capture_on_commit_callbacks):
    told = []
    receiver = lambda jobs, **_: told.extend(job.pk for job in jobs)  # noqa: E731
    jobs_pending.connect(receiver)
    with django_capture_on_commit_callbacks(execute=True):
        job, _ = create()
        create()
        assert told == []
    jobs_pending.disconnect(receiver)
    assert told == [job.pk]


def test_priority_and_the_earliest_start_are_kept():
    moment = datetime(2031, 5, 1, 12, tzinfo=UTC)
    create(priority=100, run_after=moment)
    job = Job.objects.get()
    assert (job.priority, job.run_after) == (100, moment)
    assert not Job.objects.all().due().exists()


def test_creation_is_logged_as_in_the_seed(caplog):
    caplog.set_level("DEBUG", "session_mgmt.jobs")
    job, _ = create()
    create()
    assert caplog.messages == [
        f"Created new processing job: type=video_process, target=video123, id={job.pk}",
        "Job already exists: type=video_process, target=video123, status=pending",
    ]
