"""The examples of docs/sessions.md run as they stand, and its tables say what the code does."""

import contextlib
import importlib
import io
import os
import re
import sys
import time
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.core.management import get_commands, load_command_class
from django.db import connection
from django.http import Http404

from session_mgmt import GenerationRequest, GenerationStatus, signals
from session_mgmt.conf import AppSettings
from session_mgmt.db.write_behind import flush
from session_mgmt.models import GenerationSession
from session_mgmt.sessions import expiry, session_manager
from session_mgmt.sessions.callbacks import EVENTS
from session_mgmt.states import TRANSITIONS
from tests.processes import ROOT

DOCUMENT = (ROOT / "docs/sessions.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S))
# These are run in the document's order, each with the names of those before it.
STORY = (
    "A first session",
    "States",
    "Locks",
    "Capacity",
    "Expiry and clean-up",
    "Progress at a high rate",
    "Callbacks and signals",
    "Start once",
    "Async",
)
FILES = "Files of a session"
UNITS = {"ms": 0.001, "min": 60, "h": 3600}

on_the_database = pytest.mark.django_db(transaction=True)


def blocks(section, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.S)


def rows(section):
    """Return the cells of the section's table rows, without the markup of code."""
    lines = re.findall(r"^\| (.*) \|$", SECTIONS[section], re.M)
    return [[cell.replace("`", "").strip() for cell in line.split("|")] for line in lines]


@pytest.fixture
def told():
    """Run the story; return its names, and what each section printed."""
    names, printed = {"__name__": "document"}, {}
    for section in STORY:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            for code in blocks(section):
                exec(code, names)  # noqa: S102 # our own document
        printed[section] = output.getvalue().splitlines()
    yield names, printed
    flush()


def test_every_python_block_is_run():
    with_code = {section for section in SECTIONS if blocks(section)}
    assert with_code == {*STORY, FILES}
    assert DOCUMENT.count("```python") == sum(len(blocks(section)) for section in with_code)


@on_the_database
def test_the_examples_print_what_they_say(told):
    _, printed = told
    for section in ("A first session", "States", "Locks", "Capacity", "Progress at a high rate"):
        said = re.findall(r"# ((?:completed|No room|\d).*)", "".join(blocks(section)))
        assert said, section
        assert [line for line in printed[section] if line in said] == said
    assert len(printed["Callbacks and signals"]) == 1
    names, _ = told
    completed = (names["new_id"], GenerationStatus.COMPLETED)
    assert sorted(names["log"]) == [completed, completed]


@on_the_database
def test_a_start_is_done_once_and_a_conflict_is_409(told, rf, settings):
    names, _ = told
    user = get_user_model().objects.create_user("anna")

    def answer(story, key):
        request = rf.post("/", {"story": story}, headers={"Idempotency-Key": key})
        request.user = user
        return names["start"](request)

    first = answer("A fox.", "k")
    assert first.status_code == 200
    assert answer("A fox.", "k").content == first.content
    assert answer("A hen.", "k").status_code == 409
    settings.SESSION_MGMT = {"MAX_SESSIONS": 1, "CAPACITY_POLICY": "reject"}
    assert answer("A hen.", "other").status_code == 503


@on_the_database
def test_the_asynchronous_examples(told):
    names, _ = told
    session = session_manager.get_session(names["session_id"])
    view = async_to_sync(names["titles"])
    assert view(None, session.pk).content == (
        b'{"done": 100.0, "scenes": ["A fox ran.", "Then it rained.", "The end"]}'
    )
    with pytest.raises(Http404):
        view(None, "unknown")

    async def panels():
        for panel in "ab":
            yield panel

    with contextlib.redirect_stdout(io.StringIO()) as output:
        async_to_sync(names["draw"])(session, panels())
    assert output.getvalue() == "a\nb\n"
    flush()
    assert session_manager.get_session(session.pk).progress.current_step == 2


@pytest.fixture
def files(tmp_path, settings, monkeypatch):
    """Return the document's `yourapp.files` in a project that has connected its receiver."""
    (tmp_path / "yourapp").mkdir()
    for code in blocks(FILES):
        (tmp_path / re.match(r"# (\S+)\n", code)[1]).write_text(code, encoding="utf-8")
    settings.MEDIA_ROOT = tmp_path / "media"
    monkeypatch.syspath_prepend(tmp_path)
    config = importlib.import_module("yourapp.apps").YourAppConfig
    assert issubclass(config, AppConfig)
    config("yourapp", importlib.import_module("yourapp")).ready()
    yield sys.modules["yourapp.files"]
    signals.session_removed.disconnect(dispatch_uid="yourapp.files")
    for name in ("yourapp", "yourapp.apps", "yourapp.files"):
        sys.modules.pop(name, None)


@on_the_database
def test_files_go_with_their_session_and_the_sweep_finds_the_rest(files):
    ids = [session_manager.create_session(GenerationRequest(story_text="A fox.")) for _ in range(3)]
    paths = [files.folder() / session_id for session_id in ids]
    for path in paths:
        path.mkdir(parents=True)
        (path / "scene.png").write_bytes(b"")
    assert session_manager.remove_session(ids[0])
    assert [path.exists() for path in paths] == [False, True, True]

    GenerationSession.objects.filter(pk=ids[1]).delete()  # sends no signal
    assert files.sweep() == 0
    for path in paths[1:]:
        os.utime(path, (time.time() - 7200,) * 2)
    assert files.sweep() == 1
    assert [path.exists() for path in paths] == [False, False, True]


@on_the_database
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no autovacuum")
def test_the_statements_for_autovacuum_are_understood():
    (script,) = blocks("A million sessions a day", "sql")
    with connection.cursor() as cursor:
        cursor.execute(script)
        cursor.execute(re.sub(r"SET \(.*?\)", "RESET (autovacuum_vacuum_scale_factor)", script))


def test_the_table_of_moves_is_the_transition_table():
    moves = {}
    for sources, targets in (row for row in rows("States") if len(row) == 2):
        for source in re.findall("[A-Z]{4,}", sources):
            moves[source] = set(re.findall("[A-Z]{4,}", targets))
    assert moves == {
        source.name: {target.name for target in targets} for source, targets in TRANSITIONS.items()
    }


def test_the_table_of_expiry_is_what_the_rules_say(settings):
    settings.SESSION_MGMT = {}
    said = {}
    for statuses, age, setting, option, reason in (
        row for row in rows("Expiry and clean-up") if len(row) == 5 and row[0].isupper()
    ):
        assert getattr(AppSettings(), setting) == duration(age)
        assert option.split()[0] in options("cleanup_sessions")
        said |= dict.fromkeys(statuses.split(", "), reason)
    assert said == {rule.status.name: rule.reason for rule in expiry.expiry_rules()}


def test_the_table_of_settings_has_their_defaults():
    said = {row[0]: row[1] for row in rows("Settings") if row[0].isupper()}
    assert len(said) == 15
    for name, text in said.items():
        default = getattr(AppSettings(), name)
        if isinstance(default, timedelta):
            assert duration(text) == default, name
        elif isinstance(default, int):
            assert int(text.replace(",", "")) == default, name
        else:
            assert text.strip('"') == str(default), name


def test_the_table_of_events_names_them_all():
    named = {
        name
        for row in rows("Callbacks and signals")
        for name in row[0].split(", ")
        if name in EVENTS
    }
    assert named == set(EVENTS)


def test_the_commands_have_the_options_that_are_named():
    for command, rest in re.findall(r"manage\.py\s(\w+)([^`|>\n]*)", DOCUMENT):
        assert set(re.findall(r"--[a-z-]+", rest)) <= options(command), command


def duration(text):
    number, unit = text.split()
    return timedelta(seconds=float(number) * UNITS[unit])


def options(command):
    parser = load_command_class(get_commands()[command], command).create_parser(
        "manage.py", command
    )
    return set(parser._option_string_actions)
