"""`manage.py cleanup_sessions`: what it removes, says, and answers a shell."""

import io
import json
import os
import pty
import signal
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from session_mgmt import GenerationStatus
from session_mgmt.models import GenerationSession
from tests.processes import ROOT, environment, running, wait_until
from tests.sessions.ages import left, make

pytestmark = pytest.mark.django_db

S = GenerationStatus
COMMAND = ("manage.py", "cleanup_sessions")


def clean(*arguments):
    """Run the command and return what it printed."""
    out = io.StringIO()
    call_command("cleanup_sessions", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


@pytest.fixture
def old():
    """Return what has expired: two by age, one completed, one failed; and one that has not."""
    expired = [make(S.PENDING, 25), make(S.CANCELLED, 25), make(S.COMPLETED, 7), make(S.FAILED, 2)]
    return {session.pk for session in expired}, make(S.FAILED, 0.5).pk


def test_it_removes_what_has_expired_and_says_why(old):
    assert clean() == "4 sessions removed: 2 max_age, 1 completed, 1 failed.\n"
    assert left() == {old[1]}


def test_a_dry_run_counts_the_same_and_changes_nothing(old):
    assert clean("--dry-run") == (
        "4 sessions would be removed: 2 max_age, 1 completed, 1 failed.\n"
    )
    assert left() == {*old[0], old[1]}


def test_json_is_one_object_on_one_line(old):
    counts = {"max_age": 2, "completed": 1, "failed": 1}
    counted = json.loads(clean("--json", "--dry-run"))
    assert counted == {"total": 4, "by_reason": counts, "dry_run": True}
    done = json.loads(clean("--json"))
    assert done == {
        "total": 4, "by_reason": counts, "dry_run": False, "kept": 0, "stopped": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["--max-age-hours", "30"], 2),
        (["--max-age-hours", "0"], 5),
        (["--completed-after", "8"], 3),
        (["--failed-after", "0.1"], 5),
        (["--status", "failed"], 1),
        (["--status", "failed", "--status", "pending"], 2),
        (["--all", "--yes"], 5),
        (["--all", "--yes", "--status", "failed"], 2),
        (["--batch-size", "1"], 4),
    ],
)
def test_its_options_choose_what_goes(old, arguments, number):
    assert clean(*arguments, "--dry-run").startswith(f"{number} sessions would")
    assert clean(*arguments).startswith(f"{number} sessions removed")
    assert len(left()) == 5 - number


def test_it_removes_what_is_above_the_limit_of_the_site(old, settings):
    for hours in (5, 4, 3):
        make(S.PENDING, hours)
    settings.SESSION_MGMT = {"MAX_SESSIONS": 2, "CAPACITY_POLICY": "reject"}
    assert clean("--dry-run").startswith("4 sessions would")
    settings.SESSION_MGMT = {"MAX_SESSIONS": 2}
    counted = clean("--dry-run")
    assert counted.endswith(": 2 max_age, 1 completed, 1 failed, 2 capacity.\n")
    assert clean() == counted.replace("would be removed", "removed")
    assert len(left()) == 2


def test_all_needs_a_yes(old):
    with pytest.raises(CommandError, match="--yes") as refusal:
        clean("--all")
    assert refusal.value.returncode == 2
    assert len(left()) == 5
    assert clean("--all", "--dry-run").startswith("5 sessions would be removed: 5 all")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-age-hours", "-1"], ["--max-age-hours", "nan"], ["--completed-after", "x"],
        ["--batch-size", "0"], ["--batch-size", "x"], ["--interval", "0"], ["--status", "lost"],
        ["--database", "nowhere"],
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_by_name(old, arguments):
    with pytest.raises(CommandError, match=arguments[0]):
        clean(*arguments)
    assert len(left()) == 5


@pytest.mark.django_db(transaction=True)
class TestProcess:
    def test_it_cleans_again_and_again_and_stops_on_sigterm(self):
        make(S.FAILED, 2)
        with running(*COMMAND, "--interval", "0.2") as process:
            wait_until(lambda: not left())
            make(S.FAILED, 2)
            wait_until(lambda: not left())
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0

    def test_sigterm_in_the_middle_ends_after_the_chunk_in_hand(self):
        created_at = timezone.now() - timedelta(days=2)
        request = make(S.FAILED, 2).request_data
        GenerationSession.objects.bulk_create(
            GenerationSession(request_data=request, created_at=created_at) for _ in range(3000)
        )
        with running(*COMMAND, "--batch-size", "1") as process:
            wait_until(lambda: len(left()) < 2990)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        assert len(left()) > 0
        clean()
        assert left() == set()

    def test_a_terminal_sees_a_bar(self):
        for _ in range(3):
            make(S.FAILED, 2)
        assert "[##############################] 3 of 3" in on_a_terminal(*COMMAND)

    def test_a_database_that_is_away_is_one_sentence_and_exit_code_1(self, capfd):
        url = "postgres://nobody:canary@127.0.0.1:9/none"
        with running(*COMMAND, DATABASE_URL=url, TEST_DATABASE_NAME="none") as process:
            assert process.wait(60) == 1
        said = capfd.readouterr().err
        assert "The database did not answer" in said
        assert "canary" not in said
        assert "Traceback" not in said


def on_a_terminal(*arguments):
    """Run `python ARGUMENTS` on a terminal and return what that showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, *arguments], environment())  # noqa: S606
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    return shown.decode()
