"""Sessions of any age and status, for tests of what happens to old ones."""

from datetime import timedelta

from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus
from session_mgmt.models import GenerationSession, Job, Progress, Scene, SessionEvent

REQUEST = GenerationRequest(story_text="A story.")


def make(status=GenerationStatus.PENDING, hours=0.0, **values):
    """Return a session that was created so many hours ago."""
    return GenerationSession.objects.create(
        request_data=REQUEST,
        status=status,
        created_at=timezone.now() - timedelta(hours=hours),
        **values,
    )


def fill(session):
    """Give a session one of everything that can belong to it."""
    Scene.objects.create(session=session, scene_number=1)
    Progress.objects.create(
        session=session, current_step=1, total_steps=2, updated_at=timezone.now()
    )
    SessionEvent.objects.create(session=session, seq=1, kind="session_created")
    Job.objects.create(session=session, job_type="t", target_id=str(session.pk), run_number=1)


def left():
    """Return the ids of all sessions."""
    return set(GenerationSession.objects.values_list("pk", flat=True))


def children():
    """Return how many rows belong to sessions."""
    return [model.objects.count() for model in (Scene, Progress, SessionEvent, Job)]
