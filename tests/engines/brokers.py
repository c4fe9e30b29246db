"""Redis and RabbitMQ on loopback while the tests run, with ports and files of their own.

Where a server is not installed its tests are skipped, but in CI they fail.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.processes import wait_until

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
# Debian's command of this name writes to /var/lib, as another user; this is what it runs.
_DEBIAN_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def kill_tree(pid):
    """Kill a process and all that descend from it, whatever sessions they made."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)


@contextmanager
def redis_server(folder, port=None):
    """Run a Redis that keeps nothing, and give its port."""
    port = port or free_port()
    command = [_program("redis-server", "redis-server"), "--port", str(port)]
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with _running([*command, *options], folder / "redis.log", os.environ):
        wait_until(lambda: answers(port))
        yield port


@contextmanager
def rabbitmq_server(folder):
    """Run a RabbitMQ node with a port mapper of its own, and give its port."""
    server = _program("rabbitmq-server", "rabbitmq-server")
    if _DEBIAN_RABBITMQ.exists():
        server = str(_DEBIAN_RABBITMQ)
    port, mapper_port = free_port(), free_port()
    (folder / "plugins").write_text("[].", encoding="utf-8")
    environment = {
        "PATH": _PATH,
        "HOME": str(folder),  # for the cookie of Erlang
        "LANG": "C.UTF-8",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper_port),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
        "RABBITMQ_CONFIG_FILE": str(folder / "configuration"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_NODENAME": f"test-{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
    }
    mapper = [_program("epmd", "rabbitmq-server"), "-port", str(mapper_port)]
    # The node would start a mapper if there were none, and leave it behind.
    with _running([*mapper, "-address", "127.0.0.1"], folder / "epmd.log", environment):
        wait_until(lambda: answers(mapper_port))
        with _running([server], folder / "rabbitmq.log", environment):
            wait_until(lambda: answers(port), timeout=90)
            yield port


def _program(name, package):
    found = shutil.which(name, path=_PATH)
    if found:
        return found
    reason = f"{name} is not installed; on Debian: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _running(command, log, environment):
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        kill_tree(process.pid)
        process.wait()
