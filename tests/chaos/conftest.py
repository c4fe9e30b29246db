"""Gives tests an arena of their own, and writes the table of what happened in it."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings

from example_project.locks import exclusive
from tests.chaos.arena import Arena, ChaosServer
from tests.chaos.campaign import as_table
from tests.engines.brokers import redis_server
from tests.processes import ROOT


@pytest.fixture(scope="session")
def folder():
    """A folder that the server's user may enter, and that is removed even after a killed run."""
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    # `python -m tests` removes folders of this name that a killed run left, if nobody locks them.
    folder = Path(tempfile.mkdtemp(prefix="tests-chaos-", dir=var))
    with exclusive(folder / "lock", patience=0):
        folder.chmod(0o711)
        yield folder
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def arena(folder):
    """A database of the suite's kind, a Redis, and workers."""
    is_postgresql = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    server = ChaosServer(folder) if is_postgresql else None
    with redis_server(folder) as port:
        try:
            if server:
                server.start()
            url = server.url if server else f"sqlite:///{folder / 'db.sqlite3'}"
            arena = Arena(folder, url, port, server)
            try:
                yield arena
            finally:
                arena.close()
        finally:
            if server:
                server.leave()


@pytest.fixture(scope="session")
def outcomes():
    """Collects what happened, for the table in var/chaos.txt, which -s shows too."""
    outcomes = []
    yield outcomes
    if outcomes:
        table = as_table(outcomes)
        sys.stdout.write(f"\n{table}\n")
        (ROOT / "var" / "chaos.txt").write_text(f"{table}\n", encoding="utf-8")
