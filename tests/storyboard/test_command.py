"""`manage.py storyboard` does from the command line what the page does."""

import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from session_mgmt import GenerationRequest, JobStatus
from session_mgmt.models import GenerationSession, Job, Scene
from session_mgmt.sessions import session_manager
from tests.processes import ROOT, environment, running, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def story_file(tmp_path, story):
    path = tmp_path / "story.txt"
    path.write_text(story, encoding="utf-8")
    return path


def run(*arguments, **environ):
    return subprocess.run(
        [sys.executable, "manage.py", "storyboard", *map(str, arguments)],
        cwd=ROOT,
        env=environment(**environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_writes_a_picture_for_each_scene_and_a_contact_sheet(story_file, tmp_path):
    done = run(story_file, "--scenes", 3, "--out", tmp_path / "board")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "board").iterdir())
    assert names == ["index.html", "scene-01.png", "scene-02.png", "scene-03.png"]
    lines = done.stdout.splitlines()
    assert lines[1] == "0/3 Reading the story"
    assert lines[-2] == "3/3 Finished"
    assert "\r" not in done.stdout


def test_on_a_terminal_it_draws_a_bar(story_file, tmp_path):
    class Terminal(StringIO):
        def isatty(self):
            return True

    out = Terminal()
    call_command("storyboard", story_file, num_scenes="2", out=tmp_path / "board", stdout=out)
    first, *_, bar, last = out.getvalue().splitlines()
    assert first.startswith("Session ")
    assert bar.startswith("Finished: 100%")
    assert "2/2" in bar
    assert last.startswith("2 scenes in ")
    assert out.getvalue().count("\n") == 3, "the bar stays on one line"


BAD = {
    "empty": (b"", [], "story_text: "),
    "NUL": (b"A man\x00 went home late.", [], "story_text: "),
    "lone surrogate": (b"A man \xed\xa0\x80 went home.", [], "story: not UTF-8 text at byte 6"),
    "latin-1": ("Ein Mann hört.".encode("latin-1"), [], "story: not UTF-8"),
    "ten megabytes": (b"word " * 2_000_000, [], "story_text: "),
    "one word": (b"Once", [], "story_text: "),
    "right to left": ("היה היה איש אחד בעיר. הוא הלך הביתה.".encode(), [], "story_text: "),
    "CJK": ("昔々 ある 所 に お爺さん が いました。".encode(), [], "story_text: "),
    "no scenes": (None, ["--scenes", "0"], "num_scenes: "),
    "too many scenes": (None, ["--scenes", "10000"], "num_scenes: "),
    "no number": (None, ["--scenes", "many"], "num_scenes: "),
    "unknown media": (None, ["--media", "opera"], "media_type: "),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_exit_code_2_with_the_field_and_stores_nothing(
    story_file, tmp_path, case, monkeypatch
):
    content, arguments, message = BAD[case]
    if content is not None:
        story_file.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        call_command("storyboard", story_file, *arguments, out=tmp_path / "board")
    assert caught.value.returncode == 2
    assert str(caught.value).startswith(message)
    assert not GenerationSession.objects.exists()
    assert not (tmp_path / "board").exists()


def test_the_exit_code_is_that_of_the_process(story_file, tmp_path):
    done = run(story_file, "--scenes", 0, "--out", tmp_path / "board")
    assert done.returncode == 2
    assert "num_scenes: " in done.stderr
    assert "Traceback" not in done.stderr
    missing = run(tmp_path / "none.txt", "--out", tmp_path / "board")
    assert (missing.returncode, "story: No such file" in missing.stderr) == (2, True)
    unknown = run("--resume", "nonsense", "--out", tmp_path / "board")
    assert (unknown.returncode, "resume: no session nonsense" in unknown.stderr) == (2, True)


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_stored(story_file, tmp_path):
    (tmp_path / "board").write_text("a file")
    done = run(story_file, "--out", tmp_path / "board" / "inside")
    assert (done.returncode, "out: Not a directory" in done.stderr) == (2, True)
    assert not GenerationSession.objects.exists()


def test_resuming_a_session_that_nothing_works_on_says_so(tmp_path):
    session = session_manager.start(GenerationRequest(story_text="x"))
    done = run("--resume", session.pk, "--out", tmp_path / "board")
    assert (done.returncode, "Nothing works on this session." in done.stderr) == (1, True)


def test_a_killed_run_is_resumed_and_no_scene_is_made_twice(story_file, tmp_path):
    out = tmp_path / "board"
    arguments = ["manage.py", "storyboard", str(story_file), "--scenes", "4", "--out", str(out)]
    with running(*arguments, STORYBOARD_SECONDS_PER_SCENE="0.5") as process:
        wait_until(lambda: Scene.objects.count() >= 2)
        process.kill()
        process.wait()
    before = dict(Scene.objects.values_list("scene_number", "created_at"))
    assert len(before) < 4
    Job.objects.update(lease_expires_at="2000-01-01T00:00Z")

    session = GenerationSession.objects.get()
    done = run("--resume", session.pk, "--out", out)
    assert done.returncode == 0, done.stderr
    after = dict(Scene.objects.values_list("scene_number", "created_at"))
    assert sorted(after) == [1, 2, 3, 4]
    assert before.items() <= after.items()
    job = Job.objects.get()
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)
    assert len(list(out.iterdir())) == 5
