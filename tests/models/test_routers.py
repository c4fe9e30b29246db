"""With a router that reads from a replica, every write goes to the primary."""

import pytest

from session_mgmt import GenerationRequest, ProgressUpdate
from session_mgmt.models import GenerationSession, Job, Progress, SessionEvent
from session_mgmt.sessions import session_manager

pytestmark = pytest.mark.django_db


class ReadFromReplica:
    def db_for_read(self, model, **hints):
        return None if hints.get("instance") else "replica"

    def db_for_write(self, model, **hints):
        return "default"


def test_writes_do_not_go_to_the_replica(settings):
    session = session_manager.start(GenerationRequest(story_text="x"))
    settings.DATABASE_ROUTERS = [ReadFromReplica()]
    job, created = Job.objects.create_if_not_exists("any", "1")
    assert created
    assert Job.objects.claim(job.pk).attempt == 1
    assert Progress.objects.record(session.pk, ProgressUpdate(current_step=1, total_steps=2))
    rows = GenerationSession.objects.filter(pk=session.pk)
    assert SessionEvent.objects.append(rows, "status_changed").seq == 2


def test_tracked_progress_goes_to_the_primary_though_the_session_came_from_the_replica(settings):
    settings.SESSION_MGMT = {"FLUSH_INTERVAL": 0}
    session = session_manager.start(GenerationRequest(story_text="x"))
    settings.DATABASE_ROUTERS = [ReadFromReplica()]
    session._state.db = "replica"
    with session.track(total=2) as progress:
        progress.step()
    assert Progress.objects.using("default").get(session=session.pk).current_step == 1
