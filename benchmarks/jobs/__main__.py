"""Measure jobs against hand-written statements and the peers: `python -m benchmarks.jobs`.

Everything runs in turn on a PostgreSQL and a Redis of its own, with durable commits and without
(`synchronous_commit`). The peers live in an environment of their own in `var/`; all contenders run
there, with the same Python, Django and psycopg. Clients are processes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.jobs.peers import python_with_peers
from example_project.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = ("creation", "bulk", "claim", "run", "growth")


def main() -> None:
    """Start the servers and let the environment of the peers do the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, 2 repeats")
    parser.add_argument("--only", choices=OPERATIONS, action="append", help="default: all")
    parser.add_argument("--repeats", type=int, help="blocks of each contender, default: 5")
    arguments = parser.parse_args()
    python = python_with_peers(ROOT / "var" / "benchmark-jobs")
    command = [str(python), "-m", "benchmarks.jobs.measure"]
    command += ["--repeats", str(arguments.repeats or (2 if arguments.quick else 5))]
    command += ["--quick"] if arguments.quick else []
    command += arguments.only or OPERATIONS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user when this is root
        # A checkpoint in the middle of a block would be somebody's bad luck.
        options = {"max_wal_size": "8GB", "checkpoint_timeout": "1h", "max_connections": "100"}
        server = EmbeddedPostgres(folder / "postgres", options=options)
        with server, redis(folder / "redis.socket") as redis_url:
            addresses = {
                "BENCHMARK_DATABASE_URL": server.url,
                "BENCHMARK_REDIS_URL": redis_url,
                "BENCHMARK_TICKS": str(folder / "ticks"),
                "DJANGO_SETTINGS_MODULE": "benchmarks.jobs.settings",
                "PYTHONPATH": str(ROOT),
            }
            done = subprocess.run(command, cwd=ROOT, env=os.environ | addresses, check=False)  # noqa: S603 # our own program
    sys.exit(done.returncode)


@contextmanager
def redis(socket: Path) -> Iterator[str]:
    """Run a Redis that keeps nothing on disk, as it comes when Celery is tried out."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("redis-server is not installed; Debian and Ubuntu have it in `redis-server`")
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(  # noqa: S603 # a program of the system
        [program, *options], stdout=subprocess.DEVNULL, cwd=socket.parent
    )
    try:
        while not socket.exists():
            if server.poll() is not None:
                sys.exit(f"redis-server ended with {server.returncode}")
            time.sleep(0.05)
        yield f"redis+socket://{socket}"
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
