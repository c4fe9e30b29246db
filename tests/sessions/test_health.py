"""`get_health_status` judges as the seed does; a session is stuck when nothing of it moves."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus, JobStatus
from session_mgmt.models import GenerationSession, Job, Progress
from session_mgmt.sessions.stats import health_status

pytestmark = pytest.mark.django_db

LONG = timedelta(minutes=31)
SHORT = timedelta(minutes=29)


def make(status=GenerationStatus.PROCESSING, *, idle=LONG):
    """Return a session that nobody has accessed for so long."""
    return GenerationSession.objects.create(
        request_data=GenerationRequest(story_text="A story."),
        status=status,
        last_accessed=timezone.now() - idle,
    )


def step(session, ago):
    Progress.objects.create(
        session=session, current_step=1, total_steps=2, updated_at=timezone.now() - ago
    )


def job(session, status, lease, target="1"):
    made, _ = Job.objects.create_if_not_exists("draw", target, session=session)
    Job.objects.filter(pk=made.pk).update(status=status, lease_expires_at=Now() + lease)


def stuck():
    return list(GenerationSession.objects.stuck())


def test_the_answer_has_the_keys_of_the_seed_and_texts_in_one_query(django_assert_num_queries):
    make()
    make(idle=SHORT)
    make(GenerationStatus.COMPLETED)
    with django_assert_num_queries(1):
        health = health_status("default", 8, cleanup_active=True)
    assert health == {
        "overall_health": "healthy",
        "session_count": "3",
        "utilization_percent": "37.5%",
        "stuck_sessions": "1",
        "cleanup_active": "yes",
    }


def test_without_sessions_all_is_well(django_assert_num_queries):
    with django_assert_num_queries(1):
        health = health_status("default", 100, cleanup_active=False)
    assert health == {
        "overall_health": "healthy",
        "session_count": "0",
        "utilization_percent": "0.0%",
        "stuck_sessions": "0",
        "cleanup_active": "no",
    }


@pytest.mark.parametrize(
    ("sessions", "percent", "expected"),
    [
        (6, "60.0%", "healthy"),
        (7, "70.0%", "warning"),
        (8, "80.0%", "warning"),
        (9, "90.0%", "critical"),
        (11, "110.0%", "critical"),
    ],
)
def test_health_is_how_full_it_is(sessions, percent, expected):
    for _ in range(sessions):
        make(GenerationStatus.PENDING)
    health = health_status("default", 10, cleanup_active=False)
    assert (health["utilization_percent"], health["overall_health"]) == (percent, expected)


def test_without_a_limit_it_is_never_full():
    make(GenerationStatus.PENDING)
    health = health_status("default", None, cleanup_active=False)
    assert (health["utilization_percent"], health["overall_health"]) == ("0.0%", "healthy")


@pytest.mark.parametrize("status", GenerationStatus)
def test_only_what_is_being_processed_can_be_stuck(status):
    session = make(status)
    assert stuck() == ([session] if status is GenerationStatus.PROCESSING else [])


def test_how_long_is_a_setting(settings):
    session = make(idle=SHORT)
    assert stuck() == []
    settings.SESSION_MGMT = {"STUCK_AFTER": 60}
    assert stuck() == [session]


def test_progress_is_a_sign_of_life_while_it_is_young():
    moving, standing = make(), make()
    step(moving, SHORT)
    step(standing, LONG)
    assert stuck() == [standing]


def test_a_worker_that_renews_its_lease_is_a_sign_of_life():
    alive, dead, ended = make(), make(), make()
    job(alive, JobStatus.RUNNING, timedelta(seconds=60), "alive")
    job(dead, JobStatus.RUNNING, timedelta(seconds=-60), "dead")
    job(ended, JobStatus.COMPLETED, timedelta(seconds=60), "ended")
    assert set(stuck()) == {dead, ended}


def test_two_jobs_that_are_half_alive_each_are_not_one_that_is():
    session = make()
    job(session, JobStatus.RUNNING, timedelta(seconds=-60), "1")
    job(session, JobStatus.FAILED, timedelta(seconds=60), "2")
    assert stuck() == [session]
    job(session, JobStatus.RUNNING, timedelta(seconds=60), "3")
    assert stuck() == []


def test_a_session_with_many_dead_jobs_is_stuck_once():
    session = make()
    for target in "abc":
        job(session, JobStatus.RUNNING, timedelta(seconds=-60), target)
    assert stuck() == [session]
    assert health_status("default", None, cleanup_active=False)["stuck_sessions"] == "1"


def test_stuck_sessions_can_be_locked_and_changed():
    session = make()
    with transaction.atomic():
        assert list(GenerationSession.objects.stuck().select_for_update()) == [session]
    assert GenerationSession.objects.stuck().update(error_message="stuck") == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its plan")
def test_the_sessions_are_counted_without_reading_the_table():
    make()
    for _ in range(300):
        make(GenerationStatus.COMPLETED)
    with CaptureQueriesContext(connection) as captured:
        health_status("default", None, cleanup_active=False)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {GenerationSession._meta.db_table}")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using session_status_age_idx" in plan
    assert "Index Cond: ((status)::text = 'processing'::text)" in plan
