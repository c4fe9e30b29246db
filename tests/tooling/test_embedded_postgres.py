"""The embedded server: shared by processes, stopped by the last, indifferent to kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from example_project.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from example_project.postgres_programs import postmaster, run, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.tooling.conftest import WaitFor

ROOT = Path(__file__).resolve().parents[2]
FAST = {"fsync": "off", "full_page_writes": "off"}
HOLDER = f"""
import sys
from pathlib import Path
from example_project.embedded_postgres import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), options={FAST!r}) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that uses the server until it is told to leave."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(data_dir)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self) -> int:
        self.process.communicate()
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def hold(data_dir: Path) -> Iterator[Callable[[], Holder]]:
    with ExitStack() as stack:

        def start() -> Holder:
            holder = Holder(data_dir)
            stack.callback(holder.kill)
            return holder

        yield start


def one(url: str, query: str) -> object:
    with closing(psycopg.connect(url)) as connection:
        row = connection.execute(query).fetchone()
        assert row
        return row[0]


def server_is_gone(data_dir: Path) -> bool:
    return postmaster(data_dir) is None


def test_starts_an_empty_database_that_listens_on_no_port(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST) as server:
        assert one(server.url, "SELECT current_database()") == "session_mgmt"
        assert one(server.url, "SHOW listen_addresses") == ""
        assert one(server.url, "SHOW fsync") == "off"
        assert one(server.url, "SHOW server_encoding") == "UTF8"
        assert str(one(server.url, "SHOW server_version")).startswith("18.")
        assert data_dir.stat().st_mode & 0o077 == 0
    assert server_is_gone(data_dir)


def test_keeps_the_data_between_starts(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST) as server, psycopg.connect(server.url) as db:
        db.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedPostgres(data_dir, options=FAST) as server:
        assert one(server.url, "SELECT answer FROM kept") == 42


def test_processes_that_start_at_once_share_one_server_which_the_last_stops(
    data_dir: Path, hold: Callable[[], Holder]
) -> None:
    holders = [hold() for _ in range(4)]
    urls = {holder.url() for holder in holders}
    assert len(urls) == 1
    started = one(urls.pop(), "SELECT pg_postmaster_start_time()")

    *early, last = holders
    assert [holder.leave() for holder in early] == [0, 0, 0]
    with EmbeddedPostgres(data_dir) as server:
        assert one(server.url, "SELECT pg_postmaster_start_time()") == started
    assert not server_is_gone(data_dir)

    assert last.leave() == 0
    assert server_is_gone(data_dir)


def test_a_killed_holder_does_not_count_any_more(
    data_dir: Path, hold: Callable[[], Holder]
) -> None:
    killed, orderly = hold(), hold()
    assert killed.url() == orderly.url()
    killed.kill()
    assert not server_is_gone(data_dir)
    assert orderly.leave() == 0
    assert server_is_gone(data_dir)


def test_a_server_that_a_killed_holder_left_is_found_and_used(
    data_dir: Path, hold: Callable[[], Holder]
) -> None:
    killed = hold()
    started = one(killed.url(), "SELECT pg_postmaster_start_time()")
    killed.kill()
    with EmbeddedPostgres(data_dir) as server:
        assert one(server.url, "SELECT pg_postmaster_start_time()") == started
    assert server_is_gone(data_dir)


def test_starts_again_after_the_server_itself_was_killed(data_dir: Path, wait_for: WaitFor) -> None:
    with EmbeddedPostgres(data_dir, options=FAST) as server:
        with psycopg.connect(server.url) as db:
            db.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        process = postmaster(data_dir)
        assert process
        process.send_signal(signal.SIGKILL)
        wait_for(lambda: server_is_gone(data_dir))
        with EmbeddedPostgres(data_dir, options=FAST) as again:
            assert one(again.url, "SELECT answer FROM kept") == 42


def test_a_stale_process_id_of_somebody_else_does_not_hinder(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST):
        pass
    # As after a crash of the machine: the file is there, the id is another process's now.
    (data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{data_dir}\n1\n5432\n")
    (data_dir / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    with EmbeddedPostgres(data_dir, options=FAST) as server:
        assert one(server.url, "SELECT 1") == 1


def test_a_path_too_long_for_a_socket_works(data_dir: Path) -> None:
    deep = data_dir.parent / ("long" * 30) / "folder with spaces" / "postgres"
    with EmbeddedPostgres(deep, options=FAST) as server:
        socket_dir = Path(str(one(server.url, "SHOW unix_socket_directories")))
        assert len(str(socket_dir)) < 100
        assert socket_dir.stat().st_mode & 0o077 == 0
        assert one(server.url, "SELECT 1") == 1
    assert server_is_gone(deep)
    assert not socket_dir.exists()


def test_a_short_folder_that_others_may_enter_is_refused(data_dir: Path) -> None:
    deep = data_dir.parent / ("long" * 30) / "postgres"
    with EmbeddedPostgres(deep, options=FAST) as server:
        socket_dir = Path(str(one(server.url, "SHOW unix_socket_directories")))
    socket_dir.mkdir()
    socket_dir.chmod(0o755)
    socket_dir.joinpath("of-somebody").touch()
    try:
        with pytest.raises(EmbeddedPostgresError, match="not a private folder"):
            EmbeddedPostgres(deep, options=FAST).start()
    finally:
        shutil.rmtree(socket_dir)


def test_an_interrupted_initdb_is_made_good(data_dir: Path) -> None:
    half = data_dir.with_name("postgres.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_dir, options=FAST) as server:
        assert one(server.url, "SELECT 1") == 1


def test_a_failed_start_says_why_and_leaves_nothing_held(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no_such_option"):
        EmbeddedPostgres(data_dir, options={"no_such_option": "1"}).start()
    with EmbeddedPostgres(data_dir, options=FAST) as server:
        assert one(server.url, "SELECT 1") == 1
    assert server_is_gone(data_dir)


def test_data_of_another_major_version_is_refused(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, options=FAST):
        pass
    (data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError, match="written by PostgreSQL 16"):
        EmbeddedPostgres(data_dir).start()


def test_environment_variables_for_other_servers_change_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    with EmbeddedPostgres(data_dir, options=FAST) as server:
        assert one(server.url, "SELECT 1") == 1


def test_stopping_what_never_started_is_harmless(data_dir: Path) -> None:
    EmbeddedPostgres(data_dir).stop()
    EmbeddedPostgres(data_dir / "in" / "no" / "folder").stop()


def test_a_path_that_the_shell_would_misread_is_refused(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="does not quote"):
        run("initdb", "-D", Path("/a$b"), log=data_dir.with_name("log"))


def test_the_postmaster_is_not_taken_for_another_process(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "postmaster.pid").write_text(f"{psutil.Process().pid}\n")
    assert postmaster(data_dir) is None
    assert "No such file" in tail(data_dir / "no.log")
