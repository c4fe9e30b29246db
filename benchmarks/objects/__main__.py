"""Measure stateful objects: `python -m benchmarks.objects`.

Everything runs on a PostgreSQL of its own with durable commits, the contenders in turn. The limit
of each operation is what a person would write by hand with psycopg; a ratio is the median of those
of neighbouring runs. Each contender's result is read back from the database and compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from example_project.embedded_postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = ("absorb", "commit", "create", "load", "contend", "growth")


def main() -> None:
    """Start the server and measure each operation in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, 2 repeats")
    parser.add_argument("--only", choices=OPERATIONS, action="append", help="default: all")
    parser.add_argument("--repeats", type=int, help="blocks of each contender, default: 5")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "benchmarks.objects.measure"]
    command += ["--repeats", str(arguments.repeats or (2 if arguments.quick else 5))]
    command += ["--quick"] if arguments.quick else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user when this is root
        # A checkpoint in the middle of a block would be somebody's bad luck.
        options = {"max_wal_size": "8GB", "checkpoint_timeout": "1h", "autovacuum": "off"}
        with EmbeddedPostgres(folder / "postgres", options=options) as server:
            environment = os.environ | {
                "BENCHMARK_DATABASE_URL": server.url,
                "DJANGO_SETTINGS_MODULE": "benchmarks.objects.settings",
                "PYTHONPATH": str(ROOT),
            }
            for operation in arguments.only or OPERATIONS:
                done = subprocess.run(  # noqa: S603 # our own program
                    [*command, operation], cwd=ROOT, env=environment, check=False
                )
                if done.returncode:
                    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
