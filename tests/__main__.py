"""Runs all tests on SQLite and on PostgreSQL: `python -m tests [arguments of pytest]`.

A database that cannot be had is a failure here, never a skip.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from example_project.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from example_project.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "tests-"
# What asks Django's database nothing need not run for each.
RUN_ONCE = (
    "tests/packaging",
    "tests/tooling",
    "tests/test_house.py",
    *(
        f"tests/storyboard/test_{name}.py"
        for name in ("contact_sheet", "drawing", "generators", "stories", "text")
    ),
)
UNSAFE_BUT_FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}


@dataclass
class Result:
    """What one run of the suite came to."""

    database: str
    passed: bool
    summary: str


def run_pytest(database: str, url: str, arguments: list[str], folder: Path) -> Result:
    """Run the suite on the database at `url`."""
    print(f"\nTests on {database}", flush=True)
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    started = time.monotonic()
    ours = [f"--junit-xml={report}", f"--basetemp={folder / 'pytest'}"]
    code = subprocess.call(
        [sys.executable, "-m", "pytest", *ours, *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url, "TEST_MEDIA_ROOT": str(folder / "media")},
    )
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    if report.exists():
        head = report.read_text(encoding="utf-8")[:2000]
        counts = {name: int(re.search(rf' {name}="(\d+)"', head)[1]) for name in counts}
    passed = code == 0 and counts["tests"] > counts["skipped"]
    details = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Result(database, passed, f"{details}, {time.monotonic() - started:.0f} s")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for this run, and remove what killed runs left."""
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    for folder in var.glob(f"{PREFIX}*"):
        remove_if_abandoned(folder)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=var))
    folder.chmod(0o711)  # PostgreSQL runs as another user when this is root
    with exclusive(folder / "lock", patience=0):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_if_abandoned(folder: Path) -> None:
    """Remove the folder of a run that was killed; its server may still be there."""
    with suppress(TimeoutError, FileNotFoundError), exclusive(folder / "lock", patience=0):
        EmbeddedPostgres(folder / "postgres").stop()
        shutil.rmtree(folder, ignore_errors=True)


def on_sqlite(arguments: list[str], folder: Path) -> Result:
    """Run the suite on a fresh SQLite file."""
    return run_pytest("SQLite", f"sqlite:///{folder / 'db.sqlite3'}", arguments, folder)


def on_postgres(arguments: list[str], folder: Path) -> Result:
    """Run the suite on the PostgreSQL that DATABASE_URL names, else on an embedded one."""
    if not any(word.startswith(RUN_ONCE) for word in arguments):
        arguments = [*(f"--ignore={path}" for path in RUN_ONCE), *arguments]
    url = os.environ.get("DATABASE_URL", "")
    if url.startswith(("postgres:", "postgresql:")):
        return run_pytest("PostgreSQL (DATABASE_URL)", url, arguments, folder)
    try:
        with EmbeddedPostgres(folder / "postgres", options=UNSAFE_BUT_FAST) as server:
            return run_pytest("PostgreSQL (embedded)", server.url, arguments, folder)
    except EmbeddedPostgresError as error:
        return Result("PostgreSQL (embedded)", passed=False, summary=str(error))


def main(arguments: list[str]) -> int:
    """Run both, print a line for each, and return 0 only when both passed."""
    with scratch_folder() as folder:
        results = [run(arguments, folder) for run in (on_sqlite, on_postgres)]
    print()
    for result in results:
        print(f"{'passed' if result.passed else 'FAILED'}  {result.database}: {result.summary}")
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
