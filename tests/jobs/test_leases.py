"""A running attempt keeps its lease, and what it writes survives a database that comes and goes."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from session_mgmt import JobStatus
from session_mgmt.db import unit_of_work
from session_mgmt.exceptions import CommitOutcomeUnknownError
from session_mgmt.jobs import run_job
from session_mgmt.models import Job
from tests.jobs.making import make, status_of
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ON_A_SERVER = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a file has no connection to lose or to count"
)


@ON_A_SERVER
@pytest.mark.parametrize("moment", ["in a write", "at the end"])
def test_a_connection_that_is_lost_costs_no_attempt(register, moment, settings):
    settings.SESSION_MGMT = {"RETRY_INITIAL_DELAY": 0.01}

    def work(job):
        connection.connection.close()
        if moment == "in a write":
            job.progress(1, 2, "after it")
        return "done"

    register("work", work, max_retries=0)
    job = make("work")
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.result) == (JobStatus.COMPLETED, 1, "done")


def test_a_write_is_a_sign_of_life(register, settings):
    settings.SESSION_MGMT = {"LEASE": timedelta(hours=1)}
    leases = []

    def work(job):
        Job.objects.update(lease_expires_at=timezone.now())
        job.progress(1, 2)
        leases.append(Job.objects.get().lease_expires_at - timezone.now())

    register("work", work)
    run_job(make("work").pk)
    assert leases[0] > timedelta(minutes=59)


@ON_A_SERVER
def test_a_long_job_holds_no_second_connection_between_two_beats(register, settings):
    settings.SESSION_MGMT = {"LEASE": 0.6}

    def connections_now():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            return cursor.fetchone()[0]

    def work(job):
        alone = connections_now()
        first = Job.objects.get().lease_expires_at
        wait_until(lambda: Job.objects.get().lease_expires_at > first)
        wait_until(lambda: connections_now() == alone)

    register("work", work)
    job = make("work")
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED


def test_code_in_c_that_blocks_for_several_leases_keeps_its_job(register, settings):
    import hashlib

    settings.SESSION_MGMT = {"LEASE": 0.3}
    expired = []

    def work(job):
        started = timezone.now()
        while timezone.now() - started < timedelta(seconds=1.2):
            hashlib.scrypt(b"x", salt=b"y", n=2**15, r=8, p=1, maxmem=2**27)
            expired.append(Job.objects.abandoned().exists())

    register("work", work, max_retries=0)
    job = make("work")
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED
    assert len(expired) >= 2
    assert not any(expired)


@ON_A_SERVER
def test_a_claim_whose_commit_was_not_answered_is_this_workers_own(register, monkeypatch):
    real = unit_of_work._Unit.attempt
    lost = []

    def attempt(unit):
        result = real(unit)
        if "begin_attempt" in unit._fn.func.__qualname__ and not lost:
            lost.append(result)
            raise CommitOutcomeUnknownError
        return result

    register("work", lambda job: job.job.attempt, max_retries=0)
    job = make("work")
    monkeypatch.setattr(unit_of_work._Unit, "attempt", attempt)
    assert run_job(job.pk) is True
    job.refresh_from_db()
    assert lost
    assert (job.status, job.result) == (JobStatus.COMPLETED, 1)


@ON_A_SERVER
def test_an_attempt_that_fails_is_announced_though_its_commit_was_not_answered(
    register, monkeypatch
):
    real = unit_of_work._Unit.attempt
    lost = []

    def attempt(unit):
        result = real(unit)
        if "_retry_or_fail" in unit._fn.func.__qualname__ and not lost:
            lost.append(result)
            DBTaskResult.objects.all().delete()
            raise CommitOutcomeUnknownError
        return result

    register("work", lambda job: 1 / 0)
    job = make("work")
    monkeypatch.setattr(unit_of_work._Unit, "attempt", attempt)
    run_job(job.pk)
    assert lost
    assert status_of(job) is JobStatus.PENDING
    assert DBTaskResult.objects.get().args_kwargs["args"][0] == job.pk


def test_a_long_transaction_of_the_handlers_own_does_not_cost_its_lease(register, settings):
    settings.SESSION_MGMT = {"LEASE": 0.6}
    expired = []

    def work(job):
        before = Job.objects.get().lease_expires_at
        with job.atomic():
            wait_until(lambda: timezone.now() > before + timedelta(seconds=0.5))
        expired.append(Job.objects.abandoned().exists())

    register("work", work)
    job = make("work")
    run_job(job.pk)
    assert expired == [False]
    assert status_of(job) is JobStatus.COMPLETED


def test_a_worker_that_can_start_no_thread_runs_its_job_without_a_heartbeat(
    register, monkeypatch, caplog
):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    register("work", lambda job: "done")
    job = make("work")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    run_job(job.pk)
    assert status_of(job) is JobStatus.COMPLETED
    assert "without a heartbeat" in caplog.text
