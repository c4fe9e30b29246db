"""Processes that race for the same targets create each job once, and all of them get it (P1)."""

from collections import defaultdict

import pytest
from django.conf import settings
from django.db import connection

from session_mgmt.models import Job
from tests.concurrency.work import create_jobs
from tests.processes import in_processes

pytestmark = pytest.mark.django_db(transaction=True)


def test_racing_processes_create_one_job_for_each_target():
    race(processes=8 if connection.vendor == "postgresql" else 4, keys=500)


@pytest.mark.skipif(
    "sqlite" in settings.DATABASES["default"]["ENGINE"], reason="SQLite has one isolation level"
)
@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_so_they_do_at_higher_isolation_levels_and_nobody_gets_an_error(isolation):
    race(processes=4, keys=100, isolation=isolation)


def race(processes, keys, isolation=None):
    answers = in_processes(create_jobs, [[number, keys, isolation] for number in range(processes)])

    jobs_of = defaultdict(set)
    creators_of = defaultdict(int)
    for answer in answers:
        assert len(answer) == keys
        for target, (job_id, created) in answer.items():
            jobs_of[target].add(job_id)
            creators_of[target] += created
    assert Job.objects.count() == keys
    assert {len(ids) for ids in jobs_of.values()} == {1}
    assert set(creators_of.values()) == {1}
    creators = [sum(created for _, created in answer.values()) for answer in answers]
    assert sum(count > keys / 100 for count in creators) > 1, f"nobody raced: {creators}"
