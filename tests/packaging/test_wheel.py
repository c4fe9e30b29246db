"""The wheel holds all the app needs and nothing else, and works far from this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]

SESSION = """
import django
django.setup()
from session_mgmt import GenerationRequest
from session_mgmt.sessions import session_manager

sid = session_manager.create_session(GenerationRequest(story_text="A fox ran.", num_scenes=2))
session_manager.update_session_progress(sid, 1, 2, "Scene 1")
session = session_manager.get_session(sid)
print(session.status, session.progress.percentage, session.request_data.num_scenes)
"""


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A folder outside the repository, so that nothing is found by accident; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="session_mgmt-wheel-") as folder:
        assert not Path(folder).is_relative_to(ROOT)
        yield Path(folder)


@pytest.fixture(scope="module")
def built(outside: Path) -> Path:
    """Build the sdist, and the wheel from it."""
    run(sys.executable, "-m", "build", "--outdir", outside / "dist", ROOT, cwd=ROOT)
    return outside / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(outside: Path, wheel: Path) -> Path:
    """The Python of an empty venv with the wheel and what it requires, nothing else."""
    venv.create(outside / "venv", with_pip=True)
    python = outside / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    run(*pip, f"{wheel}[tasks]", cwd=outside)
    return python


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program without this project's environment; return what it printed."""
    ours = ("DJANGO_", "PYTHON", "DATABASE_URL", "SECRET_KEY")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def shipped(folder: str) -> set[str]:
    """Return the app's files in the repository that a wheel must carry."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / "session_mgmt").rglob(folder)
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_carries_every_file_of_the_app_and_no_other_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    app = shipped("*")
    assert "session_mgmt/py.typed" in app
    assert any("/migrations/0001" in name for name in app)
    assert app - names == set()
    packages = {PurePosixPath(name).parts[0] for name in names}
    assert {package for package in packages if not package.endswith(".dist-info")} == {
        "session_mgmt"
    }


def test_the_wheel_names_its_licence_and_its_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        text = archive.read(metadata).decode()
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    assert "License-Expression: MIT" in text
    assert "Provides-Extra: tasks" in text


def test_the_sdist_can_be_built_from(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {
            PurePosixPath(name).relative_to(f"{sdist.name[:-7]}") for name in archive.getnames()
        }
    assert PurePosixPath("pyproject.toml") in names
    assert PurePosixPath("session_mgmt/py.typed") in names


def test_a_new_project_with_the_wheel_checks_migrates_and_keeps_a_session(
    outside: Path, python: Path
) -> None:
    run(python, "-m", "django", "startproject", "site_of_somebody", outside, cwd=outside)
    settings = outside / "site_of_somebody" / "settings.py"
    settings.write_text(
        settings.read_text(encoding="utf-8") + "\nimport django\n"
        "INSTALLED_APPS += ['session_mgmt', 'django_tasks_db']\n"
        "INSTALLED_APPS += ['django_tasks'] if django.VERSION < (6, 0) else []\n"
        "TASKS = {'default': {'BACKEND': 'django_tasks_db.DatabaseBackend'}}\n"
        "DATABASES['default']['OPTIONS'] = {'transaction_mode': 'IMMEDIATE', 'timeout': 30}\n",
        encoding="utf-8",
    )
    run(python, "-W", "error", "manage.py", "check", "--fail-level", "WARNING", cwd=outside)
    run(python, "manage.py", "makemigrations", "--check", "--dry-run", cwd=outside)
    run(python, "manage.py", "migrate", "--verbosity", "0", cwd=outside)
    printed = run(
        python, "-c", SESSION, cwd=outside, DJANGO_SETTINGS_MODULE="site_of_somebody.settings"
    )
    assert printed.split() == ["pending", "50.0", "2"]
