"""The demo's refusals, its supervisor, and that nothing of it outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from example_project import preflight
from example_project.supervisor import KeepsDyingError, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tooling.conftest import WaitFor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with closing(socket.create_server((preflight.HOST, 0))) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with closing(socket.create_server((preflight.HOST, 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def own_var(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Do not meet a demo that the developer has running in this checkout."""
    monkeypatch.setattr(preflight, "VAR_DIR", tmp_path)
    return tmp_path


@pytest.mark.parametrize("module", ["example_project.demo", "example_project.preflight"])
@pytest.mark.parametrize("port", ["", "http", "0", "65536", "-1", "8000.5", "8 000", "٨٠٠٠"])
def test_a_bad_port_is_named_with_exit_code_2(module: str, port: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, f"--port={port}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"PORT must be a number from 1 to 65535, not {port!r}\n"
    assert done.stdout == ""


def test_a_taken_port_is_refused_with_a_free_one_to_try(
    taken_port: int,
    own_var: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["preflight", "--port", str(taken_port)])
    assert preflight.main() == 2
    assert capsys.readouterr().err == (
        f"Port {taken_port} is taken; try: make demo PORT={taken_port + 1}\n"
    )
    assert [path.name for path in own_var.iterdir()] == ["demo.lock"]


def test_a_second_demo_of_the_checkout_is_told_where_the_first_runs(
    own_var: Path, free_port: int
) -> None:
    with (
        preflight.claim(free_port),
        pytest.raises(preflight.RefusedError, match=rf"process {os.getpid()}, .*:{free_port}/"),
        preflight.claim(free_port),
    ):
        pass
    with preflight.claim(free_port):
        pass


def test_preflight_runs_on_the_standard_library_alone() -> None:
    code = "import example_project.preflight"
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        cwd=ROOT,
        check=True,
    )


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for Django's commands: `sleep` writes its id and sleeps, `die` fails at once."""
    stand_in = tmp_path / "manage_stand_in" / "django" / "core"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").touch()
    (stand_in.parent / "__init__.py").touch()
    (stand_in / "management.py").write_text(
        "import os, pathlib, sys, time\n"
        "def execute_from_command_line(argv):\n"
        "    if argv[1] == 'die': sys.exit(3)\n"
        "    pathlib.Path(argv[2], str(os.getpid())).touch()\n"
        "    time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{stand_in.parent.parent}{os.pathsep}{ROOT}")
    pids = tmp_path / "pids"
    pids.mkdir()
    return pids


def alive(folder: Path) -> list[int]:
    """Return the processes that wrote their ids there and still run."""
    found = []
    for path in folder.iterdir():
        try:
            if psutil.Process(int(path.name)).status() != psutil.STATUS_ZOMBIE:
                found.append(int(path.name))
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_killed_process_is_started_again_and_all_end_with_the_block(
    children: Path, wait_for: WaitFor, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = {"worker": ["sleep", str(children)], "rescuer": ["sleep", str(children)]}
    with Supervisor(commands) as supervisor:
        wait_for(lambda: len(alive(children)) == 2)
        killed = alive(children)[0]
        os.kill(killed, signal.SIGKILL)

        def replaced() -> bool:
            supervisor.check()
            now = alive(children)
            return len(now) == 2 and killed not in now

        wait_for(replaced)
    assert alive(children) == []
    assert "died with SIGKILL; it is started again." in capsys.readouterr().out


def test_a_process_that_keeps_dying_ends_the_demo_with_the_reason(
    children: Path, wait_for: WaitFor
) -> None:
    def never() -> bool:
        supervisor.check()
        return False

    with (
        pytest.raises(KeepsDyingError, match=r"worker died 5 times .* exit code 3"),
        Supervisor({"worker": ["die"]}) as supervisor,
    ):
        wait_for(never)


def test_no_process_outlives_a_demo_that_was_killed(children: Path, wait_for: WaitFor) -> None:
    script = (
        "import sys, time\n"
        "from example_project.supervisor import Supervisor\n"
        f"command = ['sleep', {str(children)!r}]\n"
        "with Supervisor({'a': command, 'b': command}):\n"
        "    time.sleep(600)\n"
    )
    demo = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_for(lambda: len(alive(children)) == 2)
    demo.kill()
    demo.wait()
    wait_for(lambda: not alive(children))
