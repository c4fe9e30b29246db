"""Refuses a demo that cannot start, before anything is installed or set up for it.

`make demo` runs this with any Python before there is a venv: only the standard library may be used.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from example_project.locks import try_exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HOST", "VAR_DIR", "RefusedError", "claim", "main", "parse_port"]

HOST: Final = "127.0.0.1"
VAR_DIR: Final = Path(__file__).resolve().parent.parent / "var"
_LAST_PORT: Final = 65535


class RefusedError(Exception):
    """The demo cannot start like this; the message says what to change."""


def parse_port(text: str) -> int:
    """Return the port that `text` names."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= _LAST_PORT):
        raise RefusedError(f"PORT must be a number from 1 to {_LAST_PORT}, not {text!r}")
    return int(text)


@contextmanager
def claim(port: int) -> Iterator[socket.socket]:
    """Be the one demo of this checkout and listen on `port` during the block."""
    VAR_DIR.mkdir(exist_ok=True)
    with (VAR_DIR / "demo.lock").open("a+", encoding="ascii") as lock:
        if not try_exclusive(lock):
            raise RefusedError(_who_runs(lock))
        with _listen(port) as listener:
            lock.truncate(0)
            lock.write(f"process {os.getpid()}, http://{HOST}:{port}/")
            lock.flush()
            yield listener


def _who_runs(lock: IO[str]) -> str:
    lock.seek(0)
    return f"A demo of this checkout runs already ({lock.read()}): stop it first"


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Otherwise a port stays "taken" for a minute after the last demo.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        other = port + 1 if port < _LAST_PORT else port - 1
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} is taken; try: make demo PORT={other}"
        elif error.errno == errno.EACCES:
            message = f"Port {port} needs special rights; try: make demo PORT=8000"
        else:
            message = f"Port {port} cannot be used: {error}"
        raise RefusedError(message) from error
    return listener


def main() -> int:
    """Check the port that the command line names, and leave everything as it was."""
    parser = argparse.ArgumentParser(description="Say why `make demo` cannot start.")
    parser.add_argument("--port", default="8000")
    try:
        with claim(parse_port(parser.parse_args().port)):
            return 0
    except RefusedError as refused:
        sys.stderr.write(f"{refused}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
