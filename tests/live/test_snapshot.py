"""The snapshot tells its owner how far the work is, and a stranger nothing at all (P8)."""

from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from session_mgmt import GenerationRequest, GenerationStatus, ScenePrompt
from session_mgmt.sessions import session_manager

pytestmark = pytest.mark.django_db

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\n\nevent: x"


@pytest.fixture
def owner():
    return get_user_model().objects.create_user("owner")


@pytest.fixture
def session(owner):
    return session_manager.start(GenerationRequest(story_text="x"), owner=owner)


def url_of(session_id):
    return reverse("session_mgmt:snapshot", args=[session_id])


def user(name, *, staff=False, permission=False):
    made = get_user_model().objects.create_user(name, is_staff=staff)
    if permission:
        made.user_permissions.add(Permission.objects.get(codename="view_generationsession"))
    return made


def test_the_owner_sees_status_and_progress(client, owner, session):
    client.force_login(owner)
    first = client.get(url_of(session.pk)).json()
    assert first == {
        "id": session.session_id,
        "status": "pending",
        "finished": False,
        "error": "",
        "progress": None,
        "last_event": 1,
    }
    session_manager.update_session_progress(session.pk, 1, 4, HOSTILE)
    session_manager.add_scene_to_session(session.pk, ScenePrompt(scene_number=1))
    session_manager.update_session_status(session.pk, GenerationStatus.FAILED, HOSTILE)
    last = client.get(url_of(session.pk)).json()
    assert (last["status"], last["finished"], last["error"]) == ("failed", True, HOSTILE)
    assert last["progress"] == {
        "current_step": 1,
        "total_steps": 4,
        "description": HOSTILE,
        "percentage": 25.0,
    }
    assert last["last_event"] == 3


@pytest.mark.django_db(transaction=True)  # else the request is a savepoint of the test
def test_a_snapshot_is_one_query_after_the_login(client, owner, session, django_assert_num_queries):
    client.force_login(owner)
    with django_assert_num_queries(3):  # login session, user, session with its progress
        client.get(url_of(session.pk))


def test_staff_with_the_permission_may_watch(client, session):
    client.force_login(user("staff", staff=True, permission=True))
    assert client.get(url_of(session.pk)).status_code == 200


@pytest.mark.parametrize("who", ["nobody", "other", "staff", "permission", "inactive"])
def test_a_stranger_cannot_tell_a_session_from_a_missing_one(client, session, who):
    if who != "nobody":
        stranger = user(who, staff=who == "staff", permission=who == "permission")
        client.force_login(stranger)
        if who == "inactive":
            stranger.is_active = False
            stranger.save()
    theirs, missing = client.get(url_of(session.pk)), client.get(url_of(uuid4()))
    assert theirs.status_code == missing.status_code == 404
    assert theirs.content == missing.content
    assert theirs.headers == missing.headers


def test_a_session_without_owner_is_for_staff_only(client, owner):
    session = session_manager.start(GenerationRequest(story_text="x"))
    client.force_login(owner)
    assert client.get(url_of(session.pk)).status_code == 404


def test_a_snapshot_is_never_cached_and_never_written_to(client, owner, session):
    client.force_login(owner)
    assert "no-store" in client.get(url_of(session.pk)).headers["Cache-Control"]
    assert client.post(url_of(session.pk)).status_code == 405
