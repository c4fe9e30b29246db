"""Runs one process of the demo, and ends it when the demo is gone, however that died.

Standard input is a pipe whose other end only the demo holds, so its end is the demo's end. That
works on every UNIX, unlike a death signal, and without code between fork and exec.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from typing import Final

__all__ = ["main"]

_PATIENCE: Final = 15.0


def _end_with_the_demo() -> None:
    # Not sys.stdin: its lock, held by this thread, would abort the interpreter's shutdown.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(1)


def _serve(listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        "example_project.asgi:application",
        access_log=False,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listener])


def main(arguments: list[str]) -> None:
    """Serve on an inherited socket (`web FILE_DESCRIPTOR`), or run a command of Django."""
    threading.Thread(target=_end_with_the_demo, daemon=True).start()
    if arguments[0] == "web":
        _serve(socket.socket(fileno=int(arguments[1])))
    else:
        from django.core.management import execute_from_command_line

        execute_from_command_line(["manage.py", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
