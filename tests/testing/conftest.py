"""A project of a stranger in a folder of its own, on the database of the test that calls."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import environment

SETTINGS = """
import os

import django

from session_mgmt.db.pool import database_config

SECRET_KEY = "only-for-tests"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    *(["django_tasks"] if django.VERSION < (6, 0) else []),
    "session_mgmt",
    "stories",
]
DATABASES = {"default": database_config() | {"TEST": {"NAME": os.environ["TEST_DATABASE_NAME"]}}}
SESSION_MGMT = {"MAX_SCENES": 12}
"""
FILES = {
    "pytest.ini": "[pytest]\nfilterwarnings = error\npython_files = test*.py\n",
    "shop_settings.py": SETTINGS,
    "stories/__init__.py": "",
}
OURS = ("DJANGO_", "PYTEST_", "PYTHONPATH")


class Project:
    """Somebody's project with one app, `stories`."""

    def __init__(self, folder):
        self.folder = folder
        for path, text in FILES.items():
            self.write(path, text)

    def write(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def run(self, *arguments, settings="shop_settings", own_database=False):
        """Run Python in the project; return its exit code and what it printed.

        A test that empties the project's tables needs a database where no others refer to them.
        """
        shared = environment().items()
        clean = {name: value for name, value in shared if not name.startswith(OURS)}
        clean["PYTHONPATH"] = str(self.folder)
        if own_database:
            clean["TEST_DATABASE_NAME"] += "_shop"
        if settings:
            clean["DJANGO_SETTINGS_MODULE"] = settings
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout

    def pytest(self, *arguments, **more):
        """Run the project's tests; return the exit code and what was printed."""
        ours = ["-p", "no:cacheprovider", "-ra", "--tb=short"]
        if not more.get("own_database"):
            ours.append("--reuse-db")
        return self.run("-m", "pytest", *ours, *arguments, **more)


@pytest.fixture
def project(tmp_path, transactional_db):
    return Project(tmp_path)
