"""A stranger's project can use the fixtures, however it asks for them."""

import re

import pytest

CONFTEST = 'pytest_plugins = ["session_mgmt.testing.plugin"]\n'
ASKED_FOR = ("-p", "session_mgmt.testing.plugin")

SESSION_MANAGER = """
from session_mgmt import GenerationRequest


def test_it_has_no_limit_and_no_thread(session_manager):
    for _ in range(101):
        session_manager.create_session(GenerationRequest(story_text="x"))
    assert session_manager.get_session_count() == 101
    assert not session_manager.cleanup_active


def test_nothing_is_left_of_the_test_before(session_manager):
    assert session_manager.get_session_count() == 0


def test_progress_is_written_at_once(session_manager):
    session = session_manager.start(GenerationRequest(story_text="x"))
    with session.track(total=2) as progress:
        progress.step()
        assert session_manager.get_session(session.pk).progress.current_step == 1
"""

MAKE_SESSION = """
import pytest
from django.contrib.auth import get_user_model
from pydantic import ValidationError

from session_mgmt import GenerationStatus, InvalidInputError
from session_mgmt.models import SessionEvent


@pytest.mark.parametrize("status", GenerationStatus)
def test_a_session_came_to_its_status_step_by_step(make_session, status):
    session = make_session(status)
    assert session.status is status
    assert (session.finished_at is not None) is status.is_terminal
    assert bool(session.error_message) is (status is GenerationStatus.FAILED)
    events = SessionEvent.objects.filter(session=session).order_by("seq")
    steps = [event.data.get("status") for event in events]
    ends = [status.value] if status.is_terminal else []
    begun = ["processing"] if status is not GenerationStatus.PENDING else []
    assert steps == [None, *begun, *ends]


def test_a_session_takes_an_owner_and_a_request(make_session):
    owner = get_user_model().objects.create_user("anna")
    session = make_session(owner=owner, story_text="A fox ran.", num_scenes=2)
    assert session.owner == owner
    assert session.request_data.story_text == "A fox ran."
    assert session.request_data.num_scenes == 2


def test_a_mistake_is_told(make_session, session_manager):
    with pytest.raises(InvalidInputError, match="status"):
        make_session("done")
    with pytest.raises(ValidationError, match="scenes"):
        make_session(scenes=2)
    assert session_manager.get_session_count() == 0
"""

SETTINGS = """
import time
from datetime import timedelta

import pytest
from django.db import OperationalError

from session_mgmt.conf import get_settings
from session_mgmt.db import db_retry
from session_mgmt.models import Progress
from session_mgmt.testing.factories import GenerationSessionFactory


@pytest.mark.django_db
def test_what_is_buffered_is_written_at_once(write_behind_now):
    session = GenerationSessionFactory()
    list(session.track("ab"))
    assert Progress.objects.get(session=session).current_step == 2


def test_repetitions_do_not_wait(no_retry_delays):
    busy = Exception("deadlock detected")
    busy.sqlstate = "40P01"
    calls = []

    @db_retry(initial_delay=60)
    def work():
        calls.append(1)
        raise OperationalError("busy") from busy

    begun = time.monotonic()
    with pytest.raises(OperationalError):
        work()
    assert len(calls) == 4
    assert time.monotonic() - begun < 3  # each wait would be 5 s


def test_they_leave_each_other_and_the_projects_own_settings(no_retry_delays, write_behind_now):
    values = get_settings()
    assert (values.RETRY_MAX_DELAY, values.FLUSH_INTERVAL) == (timedelta(0), timedelta(0))
    assert values.MAX_SCENES == 12


def test_they_end_with_their_test():
    values = get_settings()
    assert values.RETRY_MAX_DELAY > timedelta(0)
    assert values.FLUSH_INTERVAL > timedelta(0)
    assert values.MAX_SCENES == 12
"""


@pytest.mark.parametrize(
    ("tests", "passed"),
    [(SESSION_MANAGER, 3), (MAKE_SESSION, 7), (SETTINGS, 4)],
    ids=["session_manager", "make_session", "settings"],
)
def test_a_project_asks_for_them_in_its_conftest(project, tests, passed):
    project.write("conftest.py", CONFTEST)
    project.write("stories/test_it.py", tests)
    code, output = project.pytest()
    assert code == 0, output
    assert f" {passed} passed" in output


def test_a_project_asks_for_them_on_the_command_line(project):
    project.write("stories/test_it.py", SESSION_MANAGER)
    code, output = project.pytest(*ASKED_FOR)
    assert code == 0, output
    assert " 3 passed" in output


def test_a_project_that_configures_django_late_can_ask_for_them(project):
    project.write(
        "conftest.py",
        CONFTEST + "import os\n"
        "def pytest_configure():\n"
        "    os.environ['DJANGO_SETTINGS_MODULE'] = 'shop_settings'\n"
        "    import django\n"
        "    django.setup()\n",
    )
    project.write("stories/test_it.py", SESSION_MANAGER)
    code, output = project.pytest(settings=None)
    assert code == 0, output
    assert " 3 passed" in output


def test_a_project_that_does_not_ask_gets_none(project):
    project.write("stories/test_it.py", SESSION_MANAGER)
    code, output = project.pytest()
    assert code == 1
    assert "fixture 'session_manager' not found" in output


def test_a_project_without_django_is_not_broken_by_them(project):
    project.write("stories/test_it.py", "def test_it():\n    assert True\n")
    code, output = project.pytest(*ASKED_FOR, settings=None)
    assert code == 0, output
    assert " 1 passed" in output


def test_each_fixture_says_what_it_is_for(project):
    code, output = project.pytest("--fixtures", *ASKED_FOR)
    assert code == 0
    listed = output.split("session_mgmt.testing.plugin")[1]
    for name in ("session_manager", "make_session", "write_behind_now", "no_retry_delays"):
        assert re.search(rf"^{name} -- .*\n    \w", listed, re.M), output
