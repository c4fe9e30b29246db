"""Many jobs are created at once, each as if alone, and nothing is half-written (P1)."""

from datetime import UTC, datetime

import pytest
from django.db import transaction

from session_mgmt import GenerationRequest, InvalidInputError, JobStatus
from session_mgmt.jobs.bulk import create_jobs_if_not_exist
from session_mgmt.models import Job, job_bulk_creation
from session_mgmt.models.job_request import JobRequest
from session_mgmt.sessions import session_manager
from session_mgmt.signals import jobs_pending

pytestmark = pytest.mark.django_db


def create(requests, **options):
    return Job.objects.create_many_if_not_exist(requests, **options)


def requests(*targets, **more):
    return [JobRequest("video_process", target, **more) for target in targets]


def test_there_is_one_result_for_each_request_in_their_order():
    there, _ = Job.objects.create_if_not_exists("video_process", "m")
    results = create(requests("z", "m", "a"))
    assert [job.target_id for job, _ in results] == ["z", "m", "a"]
    assert [created for _, created in results] == [True, False, True]
    assert results[1][0] == there
    assert create(requests("z", "m", "a")) == [(job, False) for job, _ in results]
    assert Job.objects.count() == 3


def test_requests_for_one_target_get_the_job_of_the_first():
    asked = [
        JobRequest("t", "a", {"by": 1}),
        JobRequest("t", "b"),
        JobRequest("t", "a", {"by": 1}),
        JobRequest("u", "a"),
        JobRequest("t", "a"),
    ]
    results = create(asked)
    assert [created for _, created in results] == [True, True, False, True, False]
    assert results[0][0] is results[2][0] is results[4][0]
    assert results[0][0].parameters == {"by": 1}
    assert Job.objects.count() == 3


def test_new_jobs_have_every_value_as_if_read_from_the_table():
    session = session_manager.start(GenerationRequest(story_text="x"))
    moment = datetime(2031, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
    full = JobRequest("t", "full", {"a": [1e20, 1.0, "é"]}, session, 0, -100, moment)
    for job, created in create([full, JobRequest("t", "plain")]):
        assert created
        stored = Job.objects.get(pk=job.pk)
        for field in Job._meta.concrete_fields:
            assert getattr(job, field.attname) == getattr(stored, field.attname), field.name
    assert stored.parameters == {}
    assert (session.jobs.get().run_after, session.jobs.get().max_retries) == (moment, 0)


def test_they_are_stored_as_single_ones_are():
    parameters = {"b": "é", "a": [1, 2.5, {"c": None}]}
    Job.objects.create_if_not_exists("t", "one", parameters)
    create(
        [
            JobRequest("t", "many", parameters),
            JobRequest("t", "text", '{"b":"é", "a":[1,2.5,{"c":null}]}'),
        ]
    )
    assert Job.objects.filter(parameters=parameters).count() == 3
    assert Job.objects.filter(parameters__a__2__c=None).count() == 3


@pytest.mark.parametrize("ended", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_after_the_end_comes_the_next_run(ended):
    create(requests("a", "b"))
    Job.objects.filter(target_id="a").update(status=ended)
    results = create(requests("b", "a"))
    assert [(job.run_number, created) for job, created in results] == [(1, False), (2, True)]
    Job.objects.update(status=ended)
    results = create(requests("b", "a"), check_statuses=None)
    assert [(job.run_number, created) for job, created in results] == [(1, False), (2, False)]
    results = create(requests("b", "a"), check_statuses=(ended for _ in range(2)))
    assert [(job.run_number, created) for job, created in results] == [(1, False), (2, False)]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (JobRequest("t", ""), "jobs[2].target_id"),
        (JobRequest("t", "a\x00"), "jobs[2].target_id"),
        (JobRequest(None, "a"), "jobs[2].job_type"),
        (JobRequest("t", "a", "{"), "jobs[2].parameters"),
        (JobRequest("t", "a", {"a": float("inf")}), "jobs[2].parameters"),
        (JobRequest("t", "a", priority=True), "jobs[2].priority"),
        (JobRequest("t", "a", max_retries=-1), "jobs[2].max_retries"),
        (JobRequest("t", "a", session="x"), "jobs[2].session"),
        (JobRequest("t", "a", run_after=datetime(2026, 1, 1)), "jobs[2].run_after"),  # noqa: DTZ001
        (("t", "a"), "jobs[2]"),
        (None, "jobs[2]"),
    ],
)
def test_bad_input_is_refused_by_its_place_and_nothing_is_written(bad, field):
    with pytest.raises(InvalidInputError) as caught:
        create([*requests("a", "b"), bad, *requests("c")])
    assert caught.value.field == field
    assert str(caught.value).count(field) == 1
    assert not Job.objects.exists()


@pytest.mark.parametrize("bad", [None, 5, "abc", b"abc", JobRequest("t", "a")])
def test_what_is_no_list_is_refused(bad):
    with pytest.raises(InvalidInputError, match="jobs: must be a list of JobRequest"):
        create(bad)


@pytest.mark.parametrize("statuses", [[], "pending", ["waiting"], 5])
def test_bad_statuses_are_refused_before_anything_is_written(statuses):
    with pytest.raises(InvalidInputError, match="check_statuses"):
        create(requests("a"), check_statuses=statuses)
    assert not Job.objects.exists()


def test_any_text_can_be_a_target():
    targets = [
        "a'b",
        'a"b',
        "%s",
        "a;b--",
        "日本",
        "😀",
        "\\",
        "\\n",
        "\n",
        "\x1f",
        "{}",
        "x" * 200,
    ]
    results = create(requests(*targets))
    assert [job.target_id for job, _ in results] == targets
    assert set(Job.objects.values_list("target_id", flat=True)) == set(targets)
    assert create(requests(*targets)) == [(job, False) for job, _ in results]


def test_a_thousand_new_jobs_are_one_statement_and_mixed_ones_two(django_assert_num_queries):
    targets = [str(number) for number in range(1_000)]
    with django_assert_num_queries(0):
        assert create([]) == []
    with django_assert_num_queries(1):
        assert all(created for _, created in create(iter(requests(*targets))))
    with django_assert_num_queries(2):
        results = create(requests("new", *targets))
    assert [created for _, created in results] == [True] + [False] * 1_000
    with django_assert_num_queries(2):
        create(requests(*targets), check_statuses=None)


def test_a_run_that_ends_between_the_two_statements_is_followed_by_a_new_one(monkeypatch):
    create(requests("a", "b", "c"))
    read = job_bulk_creation._latest

    def end_and_read(*arguments):
        Job.objects.filter(target_id="b", run_number=1).update(status=JobStatus.COMPLETED)
        return read(*arguments)

    monkeypatch.setattr(job_bulk_creation, "_latest", end_and_read)
    results = create(requests("c", "b", "a"))
    assert [(job.run_number, created) for job, created in results] == [
        (1, False),
        (2, True),
        (1, False),
    ]


def test_each_new_job_is_announced_once_after_the_commit(django_capture_on_commit_callbacks):
    told = []
    receiver = lambda jobs, **_: told.extend(job.pk for job in jobs)  # noqa: E731
    jobs_pending.connect(receiver)
    with django_capture_on_commit_callbacks(execute=True):
        there = create(requests("a"))
    with django_capture_on_commit_callbacks(execute=True):
        results = create(requests("c", "a", "b", "c"))
        assert told == [there[0][0].pk]
    jobs_pending.disconnect(receiver)
    assert sorted(told) == sorted({job.pk for job, _ in results})


def test_what_is_rolled_back_never_was():
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            create(requests("a", "b"))
            raise RuntimeError
        assert [job.run_number for job, _ in create(requests("b", "a"))] == [1, 1]


def test_a_warning_names_the_parameters_that_differ_for_the_first_ten(caplog):
    caplog.set_level("WARNING", "session_mgmt.jobs")
    targets = [str(number) for number in range(12)]
    create(requests(*targets, parameters={"a": "secret"}))
    create(requests(*targets))
    assert not caplog.messages
    create(
        [*requests("1", parameters={"a": "hidden"}), *requests("new", "new", parameters={"b": 1})]
    )
    assert caplog.messages == [
        "Job already exists with other parameters: type=video_process, target=1, differing keys: a"
    ]
    caplog.clear()
    create(requests(*targets, parameters={"b": 1}))
    assert len(caplog.messages) == 11
    assert "not looked at" in caplog.messages[-1]
    assert "secret" not in caplog.text


def test_each_new_job_is_logged_as_a_single_one(caplog):
    caplog.set_level("INFO", "session_mgmt.jobs")
    results = create(requests("b", "a"))
    assert sorted(caplog.messages) == sorted(
        f"Created new processing job: type=video_process, target={job.target_id}, id={job.pk}"
        for job, _ in results
    )


def test_the_service_does_the_same_on_the_database_that_is_named():
    (job, created), _ = create_jobs_if_not_exist(requests("a", "b"), using="default")
    assert created
    assert create_jobs_if_not_exist(requests("a"), ["pending"]) == [(job, False)]
