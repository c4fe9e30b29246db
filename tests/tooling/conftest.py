"""Gives the tests of the tools folders and deadlines."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from example_project.embedded_postgres import EmbeddedPostgres
from example_project.preflight import VAR_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class WaitFor(Protocol):
    """Waits until a condition holds; fails at the deadline."""

    def __call__(self, condition: Callable[[], object], *, seconds: float = 30) -> None: ...


@pytest.fixture
def wait_for() -> WaitFor:
    def wait(condition: Callable[[], object], *, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Name a data folder that does not exist yet; its server is stopped at the end."""
    VAR_DIR.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tests-tooling-", dir=VAR_DIR))
    folder.chmod(0o711)  # PostgreSQL runs as another user when this is root
    yield folder / "postgres"
    EmbeddedPostgres(folder / "postgres").stop()
    shutil.rmtree(folder)
