"""`get_performance_stats` has the seed's keys and numbers, from one query over an index."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus
from session_mgmt.models import GenerationSession
from session_mgmt.sessions.stats import performance_stats

pytestmark = pytest.mark.django_db

REQUEST = GenerationRequest(story_text="A story.")
EMPTY_AGES = {"under_1h": 0, "1h_to_6h": 0, "6h_to_24h": 0, "over_24h": 0}


def session(status=GenerationStatus.PENDING, *, hours=0.0, renewed=None):
    """Return a session that was created, and perhaps renewed, so many hours ago."""
    now = timezone.now()
    return GenerationSession(
        request_data=REQUEST,
        status=status,
        created_at=now - timedelta(hours=hours),
        renewed_at=None if renewed is None else now - timedelta(hours=renewed),
    )


def make(*args, **options):
    made = session(*args, **options)
    made.save()
    return made


def test_without_sessions_everything_is_zero():
    assert performance_stats("default", 100) == {
        "total_sessions": 0,
        "max_capacity": 100,
        "utilization_percent": 0,
        "status_breakdown": {},
        "age_distribution": EMPTY_AGES,
        "average_age_hours": 0,
        "oldest_session_hours": 0,
        "newest_session_hours": 0,
    }


def test_sessions_are_counted_by_status_and_by_age(django_assert_num_queries):
    make(GenerationStatus.PENDING, hours=0.5)
    make(GenerationStatus.PROCESSING, hours=2)
    make(GenerationStatus.COMPLETED, hours=5.5)
    make(GenerationStatus.COMPLETED, hours=7)
    make(GenerationStatus.FAILED, hours=35)
    with django_assert_num_queries(1):
        stats = performance_stats("default", 50)
    assert stats == {
        "total_sessions": 5,
        "max_capacity": 50,
        "utilization_percent": 10.0,
        "status_breakdown": {"pending": 1, "processing": 1, "completed": 2, "failed": 1},
        "age_distribution": {"under_1h": 1, "1h_to_6h": 2, "6h_to_24h": 1, "over_24h": 1},
        "average_age_hours": 10.0,
        "oldest_session_hours": 35.0,
        "newest_session_hours": 0.5,
    }
    assert {type(status) for status in stats["status_breakdown"]} == {str}


@pytest.mark.parametrize(
    ("hours", "bucket"),
    [
        (0.99, "under_1h"),
        (1.01, "1h_to_6h"),
        (5.99, "1h_to_6h"),
        (6.01, "6h_to_24h"),
        (23.99, "6h_to_24h"),
        (24.01, "over_24h"),
    ],
)
def test_ages_fall_into_the_buckets_of_the_seed(hours, bucket):
    make(hours=hours)
    assert performance_stats("default", None)["age_distribution"] == {**EMPTY_AGES, bucket: 1}


def test_a_renewed_session_is_as_old_as_its_renewal():
    make(hours=30, renewed=2)
    stats = performance_stats("default", None)
    assert stats["age_distribution"] == {**EMPTY_AGES, "1h_to_6h": 1}
    assert stats["oldest_session_hours"] == stats["average_age_hours"] == 2.0


def test_without_a_limit_nothing_is_used_up():
    make()
    stats = performance_stats("default", None)
    assert (stats["max_capacity"], stats["utilization_percent"]) == (None, 0)


def test_more_sessions_than_the_limit_are_more_than_all_of_it():
    make()
    make()
    make()
    assert performance_stats("default", 2)["utilization_percent"] == 150.0


def test_a_session_from_a_machine_whose_clock_is_ahead_is_new_not_unborn():
    make(hours=-1)
    stats = performance_stats("default", None)
    ages = [stats[f"{name}_hours"] for name in ("average_age", "oldest_session", "newest_session")]
    assert [str(age) for age in ages] == ["0.0", "0.0", "0.0"], "also not -0.0"
    assert stats["age_distribution"]["under_1h"] == 1


def test_a_thousand_sessions_give_the_numbers_of_the_seeds_own_loop(django_assert_num_queries):
    chance = random.Random(4)
    GenerationSession.objects.bulk_create(
        session(chance.choice(GenerationStatus.values), hours=chance.expovariate(1 / 10))
        for _ in range(1000)
    )
    with django_assert_num_queries(1):
        stats = performance_stats("default", 2000)
    everyone = list(GenerationSession.objects.all())
    ages = sorted(one.get_age_hours() for one in everyone)
    assert stats["total_sessions"] == 1000
    assert stats["status_breakdown"] == {
        status.value: sum(one.status is status for one in everyone) for status in GenerationStatus
    }
    assert stats["age_distribution"] == {
        "under_1h": sum(age < 1 for age in ages),
        "1h_to_6h": sum(1 <= age < 6 for age in ages),
        "6h_to_24h": sum(6 <= age < 24 for age in ages),
        "over_24h": sum(age >= 24 for age in ages),
    }
    assert stats["average_age_hours"] == pytest.approx(sum(ages) / 1000, abs=0.02)
    assert stats["oldest_session_hours"] == pytest.approx(ages[-1], abs=0.02)
    assert stats["newest_session_hours"] == pytest.approx(ages[0], abs=0.02)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its plan")
def test_the_table_itself_is_not_read():
    make()
    with CaptureQueriesContext(connection) as captured:
        performance_stats("default", None)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using session_status_age_idx" in plan
