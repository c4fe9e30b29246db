"""A repository of jobs does what seed 002 says, and refuses what would spoil a running attempt."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from session_mgmt import InvalidInputError, JobStatus
from session_mgmt.db import get_db_session
from session_mgmt.models import Job
from session_mgmt.models.job_request import JobRequest
from session_mgmt.repositories import JobRepository, get_job_repository, job_repository
from session_mgmt.signals import jobs_pending

pytestmark = pytest.mark.django_db


@pytest.fixture
def repo():
    with job_repository() as repo:
        yield repo


class TestCreation:
    def test_create_job_makes_a_new_run_whatever_there_is(self, repo):
        runs = [repo.create_job("t", "a", {"n": n}, priority=n) for n in range(3)]
        assert [(job.run_number, job.priority) for job in runs] == [(1, 0), (2, 1), (3, 2)]
        assert runs[2].parameters == {"n": 2}
        assert repo.create_job_if_not_exists("t", "a") == (runs[2], False)

    def test_create_job_if_not_exists_takes_what_the_query_takes(self, repo):
        moment = timezone.now() + timedelta(hours=1)
        job, created = repo.create_job_if_not_exists(
            job_type="t",
            target_id="a",
            parameters='{"url": "..."}',
            check_statuses=["pending"],
            session=None,
            max_retries=1,
            priority=5,
            run_after=moment,
        )
        assert created
        assert (job.max_retries, job.priority, job.run_after) == (1, 5, moment)

    def test_many_at_once(self, repo):
        results = repo.create_jobs_if_not_exist([JobRequest("t", "a"), JobRequest("t", "a")])
        assert [created for _, created in results] == [True, False]

    def test_a_created_job_is_announced_after_the_commit(self, django_capture_on_commit_callbacks):
        told = []
        receiver = lambda jobs, **_: told.extend(job.pk for job in jobs)  # noqa: E731
        jobs_pending.connect(receiver)
        with django_capture_on_commit_callbacks(execute=True), job_repository() as repo:
            job = repo.create_job("t", "a")
        jobs_pending.disconnect(receiver)
        assert told == [job.pk]


class TestQueries:
    def test_job_exists_by_status(self, repo):
        repo.create_job("t", "a")
        assert repo.job_exists("t", "a")
        assert repo.job_exists("t", "a", ["pending", JobStatus.RUNNING])
        assert not repo.job_exists("t", "a", statuses=["running"])
        assert not repo.job_exists("t", "b")
        assert not repo.job_exists("u", "a")

    def test_jobs_exist_batch_asks_once(self, repo, django_assert_num_queries):
        repo.create_job("t", "a")
        repo.create_job("t", "a")
        repo.create_job("u", "b")
        with django_assert_num_queries(1):
            found = repo.jobs_exist_batch("t", ["c", "a", "b"], ["pending"])
        assert list(found.items()) == [("c", False), ("a", True), ("b", False)]
        assert repo.jobs_exist_batch("t", ["a"], ["failed"]) == {"a": False}
        assert repo.jobs_exist_batch("t", iter(())) == {}
        many = repo.jobs_exist_batch("t", (str(number) for number in range(5_000)))
        assert len(many) == 5_000

    def test_pending_jobs_come_by_priority_then_age_and_only_when_due(self, repo):
        later = timezone.now() + timedelta(hours=1)
        low, first, second = (repo.create_job("t", target) for target in "abc")
        high = repo.create_job("u", "d", priority=5)
        repo.create_job("t", "e", run_after=later)
        running = repo.create_job("t", "f")
        assert Job.objects.claim(running.pk)
        Job.objects.filter(pk=low.pk).update(priority=-1)
        assert repo.get_pending_jobs() == [high, first, second, low]
        assert repo.get_pending_jobs("t", limit=2) == [first, second]
        assert repo.get_pending_jobs(job_type="none") == []

    def test_the_runs_of_a_target_come_newest_first(self, repo):
        first, second = repo.create_job("t", "a"), repo.create_job("t", "a")
        other = repo.create_job("u", "a")
        assert repo.get_jobs_by_target("t", "a") == [second, first]
        assert repo.get_jobs_by_target(None, "a") == [other, second, first]
        assert repo.get_jobs_by_target("t", "b") == []

    def test_counts_have_every_status(self, repo, django_assert_num_queries):
        assert repo.count_jobs_by_status() == dict.fromkeys(JobStatus.values, 0)
        repo.create_job("t", "a")
        repo.create_job("t", "b")
        Job.objects.claim(repo.create_job("u", "a").pk)
        with django_assert_num_queries(1):
            counts = repo.count_jobs_by_status()
        assert (counts["pending"], counts["running"], counts["failed"]) == (2, 1, 0)
        assert {type(key) for key in counts} == {str}
        assert repo.count_jobs_by_status("u")["pending"] == 0


HALF_BAD = [JobRequest("t", "a"), JobRequest("t", 5)]
CALLS = [
    ("create_job", ("", "a"), "job_type"),
    ("create_job", ("t", None), "target_id"),
    ("create_job", ("t", "a", "{"), "parameters"),
    ("create_job_if_not_exists", ("t", "a", None, []), "check_statuses"),
    ("create_job_if_not_exists", ("t", "a" * 201), "target_id"),
    (
        "create_jobs_if_not_exist",
        (HALF_BAD,),
        "jobs[1].target_id",
    ),
    ("job_exists", (None, "a"), "job_type"),
    ("job_exists", ("t", "a\x00"), "target_id"),
    ("job_exists", ("t", "a", "pending"), "statuses"),
    ("job_exists", ("t", "a", ["no"]), "statuses"),
    ("jobs_exist_batch", ("t", "abc"), "target_ids"),
    ("jobs_exist_batch", ("t", None), "target_ids"),
    ("jobs_exist_batch", ("t", ["a", 5]), "target_ids[1]"),
    ("get_pending_jobs", ("",), "job_type"),
    ("get_pending_jobs", (None, 0), "limit"),
    ("get_pending_jobs", (None, True), "limit"),
    ("get_pending_jobs", (None, "10"), "limit"),
    ("get_jobs_by_target", ("t", None), "target_id"),
    ("get_jobs_by_target", (5, "a"), "job_type"),
    ("update_job_status", (None, "failed"), "job_id"),
    ("update_job_status", ("1", "failed"), "job_id"),
    ("update_job_status", (True, "failed"), "job_id"),
    ("update_job_status", (1, "done"), "status"),
    ("update_job_status", (1, None), "status"),
    ("update_job_status", (1, "running", 1.5), "progress"),
    ("update_job_status", (1, "running", float("nan")), "progress"),
    ("update_job_status", (1, "running", True), "progress"),
    ("update_job_status", (1, "running", None, "x" * 2_001), "current_step"),
    ("update_job_status", (1, "running", None, 5), "current_step"),
    ("update_job_status", (1, "failed", None, None, 5), "error_message"),
    ("count_jobs_by_status", ("x" * 101,), "job_type"),
]


@pytest.mark.parametrize(("method", "arguments", "field"), CALLS)
def test_bad_input_is_refused_by_name_and_nothing_is_written(repo, method, arguments, field):
    with pytest.raises(InvalidInputError) as caught:
        getattr(repo, method)(*arguments)
    assert caught.value.field == field
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", {method for method, _, _ in CALLS})
def test_every_method_is_retried(name):
    assert getattr(JobRepository, name).__wrapped__.__name__ == name


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_the_block_commits_and_an_error_rolls_back(self):
        with job_repository() as repo:
            kept = repo.create_job("t", "kept")
        with pytest.raises(RuntimeError), job_repository() as repo:
            repo.create_job("t", "lost")
            raise RuntimeError
        assert list(Job.objects.all()) == [kept]

    def test_two_repositories_share_a_session(self):
        with pytest.raises(RuntimeError), get_db_session() as session:
            job = JobRepository(session).create_job("t", "a")
            assert JobRepository(session).get_jobs_by_target("t", "a") == [job]
            raise RuntimeError
        assert not Job.objects.exists()

    def test_a_closed_repository_says_so(self):
        with job_repository() as repo:
            pass
        with pytest.raises(TransactionManagementError, match="closed"):
            repo.job_exists("t", "a")
        with pytest.raises(InvalidInputError, match="session"):
            JobRepository(None)

    def test_the_old_form_warns_and_is_committed_and_closed_by_hand(self):
        with pytest.deprecated_call(match="job_repository") as warned:
            repo = get_job_repository()
        assert warned[0].filename == __file__
        try:
            kept = repo.create_job("t", "kept")
            repo.session.commit()
            repo.create_job("t", "lost")
        finally:
            repo.session.close()
        assert list(Job.objects.all()) == [kept]
        assert not connection.in_atomic_block

    def test_inside_the_block_a_method_is_not_repeated_by_itself(self, monkeypatch):
        tried = []

        def fail(*_, **__):
            tried.append(1)
            raise OperationalError("deadlock detected")

        monkeypatch.setattr(Job.objects.all().__class__, "create_if_not_exists", fail)
        with pytest.raises(OperationalError), job_repository() as repo:
            repo.create_job_if_not_exists("t", "a")
        assert len(tried) == 1
