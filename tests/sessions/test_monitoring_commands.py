"""`session_stats` and `session_health` tell people and monitors how the sessions are."""

import json
import os
import pty
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from session_mgmt import GenerationRequest, GenerationStatus
from session_mgmt.models import GenerationSession, Job
from tests.processes import ROOT, environment, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

REDRAW = b"\x1b[H\x1b[J"
AWAY = [
    {"DATABASE_URL": "postgres://anna:canary@127.0.0.1:1/x"},
    {"DATABASE_URL": "sqlite:////x", "TEST_DATABASE_NAME": "/there/is/no/folder/canary"},
]
STOPS = (signal.SIGTERM, signal.SIGINT)


def make(status=GenerationStatus.PENDING, hours=0.0):
    moment = timezone.now() - timedelta(hours=hours)
    return GenerationSession.objects.create(
        request_data=GenerationRequest(story_text="A story."),
        status=status,
        created_at=moment,
        last_accessed=moment,
    )


def start(*arguments, stdout=subprocess.PIPE, **more):
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(PYTHONUNBUFFERED="", **more),
    )


def ended(process, number=signal.SIGTERM):
    """Stop a process and return its exit code and what else it wrote."""
    process.send_signal(number)
    try:
        written = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, *((text or b"").decode() for text in written)


def test_statistics_for_people_are_short_and_aligned(capsys):
    make(GenerationStatus.COMPLETED, hours=2)
    make(GenerationStatus.FAILED, hours=4)
    call_command("session_stats")
    assert capsys.readouterr().out == (
        "capacity            no limit\n"
        "sessions                   2\n"
        "completed                  1\n"
        "failed                     1\n"
        "< 1 h                      0\n"
        "1-6 h                      2\n"
        "6-24 h                     0\n"
        "> 24 h                     0\n"
        "average age           3.00 h\n"
        "oldest                4.00 h\n"
        "newest                2.00 h\n"
    )


def test_statistics_know_the_limit_of_the_settings(capsys, settings):
    settings.SESSION_MGMT = {"MAX_SESSIONS": 8000}
    make()
    make()
    call_command("session_stats")
    assert capsys.readouterr().out.startswith("capacity       0.0% of 8,000\n")


def test_statistics_as_json_have_the_keys_of_the_seed(capsys):
    make(hours=2)
    call_command("session_stats", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "total_sessions": 1,
        "max_capacity": None,
        "utilization_percent": 0,
        "status_breakdown": {"pending": 1},
        "age_distribution": {"under_1h": 0, "1h_to_6h": 1, "6h_to_24h": 0, "over_24h": 0},
        "average_age_hours": 2.0,
        "oldest_session_hours": 2.0,
        "newest_session_hours": 2.0,
    }


@pytest.mark.parametrize("number", STOPS)
def test_watching_prints_plain_lines_and_stops_cleanly(number):
    with start("session_stats", "--json", "--watch", "0.1") as process:
        assert json.loads(process.stdout.readline())["total_sessions"] == 0
        make()
        wait_until(lambda: json.loads(process.stdout.readline())["total_sessions"] == 1)
        code, _, errors = ended(process, number)
    assert (code, errors) == (0, "")


def test_watching_redraws_on_a_terminal():
    ours, theirs = pty.openpty()
    with start("session_stats", "--watch", "0.1", stdout=theirs) as process:
        os.close(theirs)
        drawn = b""
        while drawn.count(REDRAW) < 3:
            drawn += os.read(ours, 4096)
        code, _, errors = ended(process)
    os.close(ours)
    assert drawn.startswith(REDRAW + b"capacity ")
    assert (code, errors) == (0, "")


def test_without_a_terminal_nothing_is_redrawn():
    with start("session_stats", "--watch", "0.1") as process:
        lines = [process.stdout.readline() for _ in range(20)]
        code, *_ = ended(process)
    assert lines[:10] == lines[10:]
    assert lines[9] == b"\n"
    assert b"\x1b" not in b"".join(lines)
    assert code == 0


@pytest.mark.parametrize("away", AWAY, ids=["postgres", "sqlite"])
def test_watching_goes_on_while_the_database_is_away(away):
    with start("session_stats", "--watch", "0.1", **away) as process:
        lines = [process.stderr.readline().decode() for _ in range(3)]
        code, *_ = ended(process)
    assert all(line.startswith("The database did not answer (") for line in lines)
    assert code == 0


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "soon"])
def test_an_impossible_interval_is_refused(interval):
    with pytest.raises(CommandError, match="is not a number of seconds, more than 0"):
        call_command("session_stats", f"--watch={interval}")


@pytest.mark.parametrize("command", ["session_stats", "session_health"])
def test_an_unknown_database_is_refused(command):
    with pytest.raises(CommandError, match="invalid choice: 'nowhere'"):
        call_command(command, "--database=nowhere")


def test_healthy_is_exit_0(capsys):
    make()
    call_command("session_health")
    assert capsys.readouterr().out == (
        "overall health         healthy\n"
        "session count                1\n"
        "utilization percent       0.0%\n"
        "stuck sessions               0\n"
        "cleanup active              no\n"
    )


@pytest.mark.parametrize(
    ("limit", "health", "code"), [(4, "warning", 1), (3, "critical", 2), (2, "critical", 2)]
)
def test_the_exit_code_tells_how_full_it_is(capsys, settings, limit, health, code):
    settings.SESSION_MGMT = {"MAX_SESSIONS": limit, "CLEANUP_INTERVAL": 60}
    for _ in range(3):
        make()
    with pytest.raises(SystemExit) as caught:
        call_command("session_health", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert caught.value.code == code
    assert (answer["overall_health"], answer["session_count"]) == (health, "3")
    assert answer["cleanup_active"] == "yes"


@pytest.mark.parametrize(("limit", "health", "code"), [(None, "warning", 1), (1, "critical", 2)])
def test_a_stuck_session_is_at_least_a_warning(capsys, settings, limit, health, code):
    settings.SESSION_MGMT = {"MAX_SESSIONS": limit}
    make(GenerationStatus.PROCESSING, hours=1)
    with pytest.raises(SystemExit) as caught:
        call_command("session_health", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert (answer["overall_health"], answer["stuck_sessions"]) == (health, "1")
    assert caught.value.code == code


@pytest.mark.parametrize("away", AWAY, ids=["postgres", "sqlite"])
@pytest.mark.parametrize(("command", "code"), [("session_health", 2), ("session_stats", 1)])
def test_a_database_that_is_away_is_one_sentence_and_no_secret(command, code, away):
    with start(command, "--json", **away) as process:
        output, errors = (text.decode() for text in process.communicate(timeout=60))
    assert (process.returncode, output) == (code, "")
    assert errors.startswith("CommandError: The database did not answer (")
    assert errors.count("\n") == 1
    assert "canary" not in errors


def test_the_exit_codes_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        call_command("session_health", "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "exit code 0 for healthy, 1 for warning" in text


@pytest.mark.parametrize("number", STOPS)
def test_rescue_jobs_stops_cleanly_too(number):
    Job.objects.create_if_not_exists("storyboard", "1")
    Job.objects.update(dispatched_at=None)
    with start("rescue_jobs", "--interval", "600") as process:
        line = process.stdout.readline()
        code, _, errors = ended(process, number)
    assert (line, code, errors) == (b"0 taken over, 1 sent again.\n", 0, "")
