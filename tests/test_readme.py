"""The handler and the view of the README work as they stand."""

import json
import re

import pytest
from django.contrib.auth import get_user_model

from session_mgmt.jobs import handlers, run_job
from session_mgmt.models import Job
from session_mgmt.sessions import session_manager
from tests.processes import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


def block(start):
    """Return the README's Python that begins with this comment."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (found,) = [code for code in re.findall(r"```python\n(.*?)```", text, re.S) if start in code]
    return found


def test_the_first_handler_does_the_work_that_the_view_starts(monkeypatch, rf):
    monkeypatch.setattr(handlers, "_handlers", {})
    names = {"__name__": "yourapp", "ask_the_model": str.upper}
    exec(block("# yourapp/job_handlers.py"), names)  # noqa: S102 # our own README
    exec(block("# yourapp/views.py"), names)  # noqa: S102 # our own README

    request = rf.post("/", {"topic": "Rivers"})
    request.user = get_user_model().objects.create_user("anna")
    answer = json.loads(names["start"](request).content)

    job = Job.objects.get()
    assert answer == {"watch": f"/sessions/{job.session_id}/"}
    assert run_job(job.pk)
    job.refresh_from_db()
    assert job.result == {"chapters": 2}
    scenes = session_manager.get_session(job.session_id).scenes
    assert [scene.description for scene in scenes] == ["ONE", "TWO"]
