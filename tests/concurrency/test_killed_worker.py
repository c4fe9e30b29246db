"""A story whose worker is killed with -9 is finished by the next one, no scene made twice (P2)."""

import pytest
from django.contrib.auth import get_user_model

from example_project.storyboard.services import start_storyboard
from session_mgmt import GenerationRequest, GenerationStatus, JobStatus
from session_mgmt.models import Job, Scene, SessionEvent
from session_mgmt.sessions import session_manager
from tests.processes import running, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = ["manage.py", "db_worker", "--interval", "0.1", "--no-startup-delay"]
RESCUER = ["manage.py", "rescue_jobs", "--interval", "0.2"]
QUICK = {"STORYBOARD_SECONDS_PER_SCENE": "0.4", "TEST_SESSION_MGMT_LEASE": "2"}


def test_another_worker_goes_on_where_the_killed_one_was(story):
    owner = get_user_model().objects.create_user("anna")
    session = start_storyboard(GenerationRequest(story_text=story, num_scenes=5), owner=owner)
    with running(*WORKER, **QUICK) as worker:
        wait_until(lambda: Scene.objects.count() >= 2)
        worker.kill()
        worker.wait()
    before = dict(Scene.objects.values_list("scene_number", "created_at"))
    assert len(before) < 5
    assert Job.objects.get().status is JobStatus.RUNNING

    with running(*RESCUER, **QUICK), running(*WORKER, **QUICK):
        wait_until(
            lambda: session_manager.get_session(session.pk).status is GenerationStatus.COMPLETED
        )
    after = dict(Scene.objects.values_list("scene_number", "created_at"))
    assert sorted(after) == [1, 2, 3, 4, 5]
    assert before.items() <= after.items(), "a scene was made twice"
    added = SessionEvent.objects.filter(kind="scene_added").values_list("data", flat=True)
    assert [data["scene_number"] for data in added.order_by("seq")] == [1, 2, 3, 4, 5]
    assert Job.objects.get().attempt == 2
