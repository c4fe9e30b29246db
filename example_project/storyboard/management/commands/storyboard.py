"""Draw a storyboard from a text file, with the same job that the page uses."""

from __future__ import annotations

import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from example_project.storyboard.forms import StoryForm
from example_project.storyboard.progress_line import ProgressLine
from example_project.storyboard.run_here import run_to_the_end
from example_project.storyboard.services import board_files, start_storyboard
from session_mgmt.schemas import GenerationRequest, MediaType
from session_mgmt.sessions import session_manager
from session_mgmt.states import GenerationStatus

__all__ = ["Command"]


class Command(BaseCommand):
    help = (
        "Draw a storyboard: one picture per scene and an index.html. "
        "Example: manage.py storyboard STORY.txt --scenes 6 --out board. "
        "Exit codes: 0 drawn, 1 failed, 2 bad input."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("story", nargs="?", help="a text file in UTF-8, - for standard input")
        source.add_argument("--resume", metavar="ID", help="go on with a session that was cut off")
        parser.add_argument("--scenes", dest="num_scenes", default="6", help="default: %(default)s")
        looks = ", ".join(MediaType)
        parser.add_argument("--media", dest="media_type", default="cinematic", help=looks)
        parser.add_argument("--out", type=Path, required=True, help="folder for the files")

    def handle(self, *, story: str | None, resume: str | None, out: Path, **options: str) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The tables are not there yet; run: python manage.py migrate")
        wanted = _wanted(story, options) if story else None
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _bad("out", f"{error.strerror}: {out}") from None
        session = start_storyboard(wanted) if wanted else session_manager.get_session(resume)
        if session is None:
            raise _bad("resume", f"no session {resume}")
        self.stdout.write(f"Session {session.session_id}")
        with ProgressLine(session, self.stdout) as line:
            ended = run_to_the_end(session, line.show)
        if ended is None or ended.status != GenerationStatus.COMPLETED:
            raise CommandError((ended and ended.error_message) or "Nothing works on this session.")
        for name, content in board_files(ended):
            (out / name).write_bytes(content)
        self.stdout.write(f"{ended.request_data.num_scenes} scenes in {out / 'index.html'}")


def _wanted(story: str, options: dict[str, str]) -> GenerationRequest:
    try:
        text = (sys.stdin.buffer.read() if story == "-" else Path(story).read_bytes()).decode()
    except OSError as error:
        raise _bad("story", f"{error.strerror}: {story}") from None
    except UnicodeDecodeError as error:
        raise _bad("story", f"not UTF-8 text at byte {error.start}") from None
    form = StoryForm({**options, "story_text": text})
    for field, problems in form.errors.items():
        raise _bad(field, " ".join(map(str, problems)))
    return form.request


def _bad(field: str, problem: str) -> CommandError:
    return CommandError(f"{field}: {problem}", returncode=2)
