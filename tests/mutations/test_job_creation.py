"""The race of `tests.concurrency.test_job_creation` sees what known-bad designs do wrong."""

import pytest
from django.conf import settings

from session_mgmt.models import Job
from tests.concurrency.job_race import race, violations
from tests.mutations import naive_creation
from tests.processes import in_processes

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRES = pytest.mark.skipif(
    "sqlite" in settings.DATABASES["default"]["ENGINE"],
    reason="SQLite has one writer at a time: a transaction that locks first is safe there",
)
KEYS = 150


def test_looking_first_and_creating_then_is_caught():
    answers = race(naive_creation.select_then_create, [[number, KEYS] for number in range(4)])
    assert violations(answers, KEYS)["with several jobs"] > 0


@ON_POSTGRES
def test_locking_first_and_creating_then_is_caught():
    answers = race(naive_creation.lock_then_create, [[number, KEYS] for number in range(4)])
    found = violations(answers, KEYS)
    assert found["with several jobs"] > 0
    assert found["with answers that differ"] > 0


def test_a_loser_that_says_that_it_created_the_job_is_caught():
    answers = race(naive_creation.overwrite_the_loser, [[number, 25] for number in range(2)])
    assert violations(answers, 25) == {"without exactly one creator": 25}


@ON_POSTGRES
def test_bulks_that_are_not_sorted_are_caught():
    arguments = [[number, 4_000] for number in range(2)]
    for _ in range(5):  # on a busy machine one may be through before the other begins
        lost = in_processes(naive_creation.insert_in_the_order_of_the_caller, arguments)
        if any(lost):
            break
        Job.objects.all().delete()
    assert sorted(lost, key=str) == ["40P01", None]
