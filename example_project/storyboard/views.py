"""The pages: start a storyboard, watch it come, take it away."""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_http_methods, require_safe

from example_project.storyboard.forms import StoryForm, new_key
from example_project.storyboard.services import (
    board_files,
    read_picture,
    start_storyboard,
    title_of,
)
from example_project.storyboard.stories import shipped_stories
from session_mgmt.live.permissions import visible_session
from session_mgmt.models import GenerationSession, Scene
from session_mgmt.states import GenerationStatus

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest

    class PersonsRequest(HttpRequest):
        """A request that came through `login_required`."""

        user: User


__all__ = ["bad_request", "board", "download", "home", "picture"]

_RECENT: Final = 12


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def home(request: PersonsRequest) -> HttpResponse:
    """Show the form and the user's storyboards; a POST starts one and leads to its page."""
    if request.method != "POST":
        chosen = next((s for s in shipped_stories() if s.slug == request.GET.get("story")), None)
        text = f"{chosen.title}\n\n{chosen.text}" if chosen else ""
        return _home(request, StoryForm(initial={"story_text": text}))
    form = StoryForm(request.POST)
    if not form.is_valid():
        return _home(request, form, status=400)
    key = form.cleaned_data["key"]
    if key:
        # With the request in it: who goes back and changes the story starts another one.
        key = sha256(f"{key}:{form.request.model_dump_json()}".encode()).hexdigest()
    session = start_storyboard(form.request, owner=request.user, idempotency_key=key)
    return redirect("storyboard:board", session_id=session.pk)


def _home(request: PersonsRequest, form: StoryForm, status: int = 200) -> HttpResponse:
    mine = GenerationSession.objects.filter(owner=request.user).order_by("-created_at")[:_RECENT]
    context = {
        "form": form,
        "stories": shipped_stories(),
        "boards": [(session, title_of(session)) for session in mine],
    }
    return render(request, "storyboard/home.html", context, status=status)


@never_cache
@login_required
@require_safe
def board(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Show a storyboard as far as it has come."""
    session = visible_session(request, session_id)
    context = {
        "session": session,
        "title": title_of(session),
        "scenes": session.scenes,
        "complete": session.status == GenerationStatus.COMPLETED,
    }
    return render(request, "storyboard/board.html", context)


@login_required
@cache_control(private=True, max_age=3600)
@require_safe
def picture(request: HttpRequest, session_id: UUID, number: int) -> HttpResponse:
    """Send a scene's picture."""
    session = visible_session(request, session_id)
    scene = Scene.objects.filter(session=session, scene_number=number).first()
    if scene is None:
        raise Http404("No such scene.")
    try:
        return HttpResponse(read_picture(scene.as_prompt()), content_type="image/png")
    except FileNotFoundError:
        raise Http404("The picture is gone.") from None


@never_cache
@login_required
@require_safe
def download(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Send the pictures and a contact sheet as one archive."""
    session = visible_session(request, session_id)
    if session.status != GenerationStatus.COMPLETED:
        raise Http404("Not finished.")
    archive = io.BytesIO()
    try:
        with zipfile.ZipFile(archive, "w") as files:
            for name, content in board_files(session):
                files.writestr(f"storyboard/{name}", content)
    except FileNotFoundError:
        raise Http404("A picture is gone.") from None
    return HttpResponse(
        archive.getvalue(),
        content_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="storyboard.zip"'},
    )


def bad_request(request: PersonsRequest, exception: Exception) -> HttpResponse:
    """Answer a request that is too large to be read with the form and a message at the field."""
    if not isinstance(exception, RequestDataTooBig) or not request.user.is_authenticated:
        return HttpResponseBadRequest("Bad request.", content_type="text/plain")
    form = StoryForm({"key": new_key()})
    form.errors.clear()
    form.add_error("story_text", "The story is too long to be read. Paste a shorter one.")
    return _home(request, form, status=400)
