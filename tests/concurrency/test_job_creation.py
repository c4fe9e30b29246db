"""Processes that race for the same targets create each job once, and all of them get it (P1)."""

import pytest
from django.conf import settings
from django.db import connection

from session_mgmt.models import Job
from tests.concurrency.job_race import race, violations
from tests.concurrency.work import create_and_end_jobs, create_jobs, create_many_jobs
from tests.processes import in_processes

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRES = pytest.mark.skipif(
    "sqlite" in settings.DATABASES["default"]["ENGINE"], reason="SQLite has one isolation level"
)
HIGHER = pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])


def test_racing_processes_create_one_job_for_each_target():
    processes = 8 if connection.vendor == "postgresql" else 4
    answers = race(create_jobs, [[number, 500] for number in range(processes)])
    assert violations(answers, 500) == {}


@ON_POSTGRES
@HIGHER
def test_so_they_do_at_higher_isolation_levels_and_nobody_gets_an_error(isolation):
    answers = race(create_jobs, [[number, 100, isolation] for number in range(4)])
    assert violations(answers, 100) == {}


def test_so_they_do_if_each_asks_for_other_statuses_that_cover_the_new_job():
    statuses = [["pending"], ["pending", "running"], None, ["failed", "pending"]]
    answers = race(create_jobs, [[n, 100, None, asked] for n, asked in enumerate(statuses)])
    assert violations(answers, 100) == {}


def test_runs_that_end_at_once_are_numbered_without_a_gap_and_each_has_one_creator():
    answers = in_processes(create_and_end_jobs, [[number, 3, 40] for number in range(4)])
    runs = sorted(tuple(run) for answer in answers for run in answer)
    stored = sorted(Job.objects.values_list("target_id", "run_number"))
    assert runs == stored
    for target in {target for target, _ in runs}:
        numbers = [number for of, number in runs if of == target]
        assert numbers == list(range(1, len(numbers) + 1))


def test_bulks_in_opposite_orders_create_one_job_for_each_target():
    answers = race(create_many_jobs, [[number, 4_000] for number in range(4)])
    assert violations(answers, 4_000) == {}


@ON_POSTGRES
@HIGHER
def test_so_do_bulks_at_higher_isolation_levels(isolation):
    answers = race(create_many_jobs, [[number, 2_000, isolation] for number in range(4)])
    assert violations(answers, 2_000) == {}


def test_bulks_in_opposite_orders_in_transactions_of_their_callers_never_deadlock():
    answers = race(create_many_jobs, [[number, 8_000, None, True] for number in range(4)])
    assert violations(answers, 8_000) == {}
