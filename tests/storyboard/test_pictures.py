"""Pictures go with their sessions, and what a killed process has left is swept."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command

from session_mgmt import GenerationRequest
from session_mgmt.sessions import session_manager

pytestmark = pytest.mark.django_db

REQUEST = GenerationRequest(story_text="x")


@pytest.fixture
def session_id():
    """Return a session with pictures of two attempts."""
    session_id = session_manager.create_session(REQUEST)
    for attempt in (1, 2):
        path = f"storyboards/{session_id}/attempt-{attempt}/01.png"
        default_storage.save(path, ContentFile(b"png"))
    return session_id


def test_removing_a_session_deletes_its_pictures(session_id, django_capture_on_commit_callbacks):
    other = session_manager.create_session(REQUEST)
    default_storage.save(f"storyboards/{other}/attempt-1/01.png", ContentFile(b"png"))
    with django_capture_on_commit_callbacks(execute=True):
        session_manager.remove_session(session_id)
    assert not default_storage.exists(f"storyboards/{session_id}")
    assert default_storage.exists(f"storyboards/{other}/attempt-1/01.png")


def test_cleaning_up_deletes_them_too(session_id, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert session_manager.cleanup_expired_sessions(max_age_hours=0) == 1
    assert not default_storage.exists(f"storyboards/{session_id}")


def test_a_removal_that_is_rolled_back_deletes_nothing(
    session_id, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks():
        session_manager.remove_session(session_id)
    assert default_storage.exists(f"storyboards/{session_id}/attempt-1/01.png")


def test_a_sweep_deletes_what_belongs_to_nobody(session_id, capsys):
    kept = session_manager.create_session(REQUEST)
    default_storage.save(f"storyboards/{kept}/attempt-1/01.png", ContentFile(b"png"))
    session_manager.remove_session(session_id)
    call_command("sweep_pictures")
    assert "storyboards deleted" in capsys.readouterr().out
    assert not default_storage.exists(f"storyboards/{session_id}")
    assert default_storage.exists(f"storyboards/{kept}/attempt-1/01.png")
