"""What one transaction per request costs: `python -m benchmarks.request_transaction`.

The same views behind no transaction, Django's ATOMIC_REQUESTS and AtomicRequestMiddleware, in turn
in one process, on PostgreSQL with a persistent connection. First behind gunicorn, as a browser
meets them; then straight through Django's WSGI handler, where what the server costs all three does
not dilute the difference.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from example_project.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CONTENDERS = ("no transaction", "ATOMIC_REQUESTS", "AtomicRequestMiddleware")


def main() -> None:
    """Start a database, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=41, help="blocks of each contender")
    parser.add_argument("--requests", type=int, default=200, help="requests in a block")
    arguments = parser.parse_args()
    if url := os.environ.get("DATABASE_URL"):
        measure(url, arguments.repeats, arguments.requests)
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user when this is root
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            measure(server.url, arguments.repeats, arguments.requests)


def measure(url: str, repeats: int, requests: int) -> None:
    """Print a row for each view and contender: requests a second, and the ratios."""
    with behind_gunicorn(url) as handlers:
        print("Behind gunicorn")
        measure_with(handlers, repeats, requests)
    print("\nStraight through the WSGI handler")
    handlers = configured(url)
    measure_with({name: partial(run, handlers[name]) for name in CONTENDERS}, repeats, requests)


def measure_with(
    senders: Mapping[str, Callable[[str, int], float]], repeats: int, requests: int
) -> None:
    """Print a row for each view and contender; a sender returns the seconds that it took."""
    for path in ("/nothing/", "/one-query/"):
        rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for name in CONTENDERS:
            senders[name](path, requests)
        for _ in range(repeats):
            for name in CONTENDERS:
                rates[name].append(requests / senders[name](path, requests))
        print(f"\n{path}")
        for name in CONTENDERS:
            none, django = (ratio(rates[name], rates[other]) for other in CONTENDERS[:2])
            low, _, high = statistics.quantiles(rates[name], n=4)
            median = statistics.median(rates[name])
            print(
                f"  {name:24} {median:7,.0f}/s  (half of the blocks {low:,.0f} to {high:,.0f})"
                f"  {none:.3f} of no transaction  {django:.3f} of ATOMIC_REQUESTS"
            )


def ratio(ours: Iterable[float], others: Iterable[float]) -> float:
    """Return the median ratio of blocks that ran one after the other."""
    return statistics.median(a / b for a, b in zip(ours, others, strict=True))


def served() -> Callable[..., object]:
    """Return what gunicorn serves: the contender that a header names."""
    handlers = configured(os.environ["DATABASE_URL"])

    def application(environment: dict[str, str], start_response: object) -> object:
        return handlers[environment["HTTP_X_CONTENDER"]](environment, start_response)

    return application


@contextmanager
def behind_gunicorn(url: str) -> Iterator[dict[str, Callable[[str, int], float]]]:
    """Serve the contenders and yield what sends each of them requests over one connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "1"]
    server = subprocess.Popen(  # noqa: S603 # the project's own program
        [sys.executable, "-m", "gunicorn", "benchmarks.request_transaction:served()", *arguments],
        env=os.environ | {"DATABASE_URL": url},
        stderr=subprocess.DEVNULL,
    )
    connection = http.client.HTTPConnection("127.0.0.1", port)
    deadline = time.monotonic() + 30
    try:
        while connection.sock is None:
            try:
                connection.connect()
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield {name: partial(fetch, connection, name) for name in CONTENDERS}
    finally:
        connection.close()
        server.terminate()
        server.wait()


def fetch(connection: http.client.HTTPConnection, name: str, path: str, requests: int) -> float:
    """Send so many requests over the connection and return the seconds that they took."""
    started = time.perf_counter()
    for _ in range(requests):
        connection.request("GET", path, headers={"X-Contender": name})
        response = connection.getresponse()
        response.read()
        assert response.status == 200, response.status  # noqa: S101 # else the time means nothing
    return time.perf_counter() - started


def configured(url: str) -> dict[str, Callable[..., object]]:
    """Set Django up and return a WSGI application for each contender."""
    import environ
    from django.conf import settings

    database = environ.Env.db_url_config(url) | {"CONN_MAX_AGE": None}
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": database},
        INSTALLED_APPS=["django.contrib.contenttypes", "session_mgmt"],
        MIDDLEWARE=[],
        ROOT_URLCONF="benchmarks.views",
        SECRET_KEY="none",  # noqa: S106 # nothing is signed
        USE_TZ=True,
    )
    import django

    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connections

    plain = WSGIHandler()
    settings.MIDDLEWARE = ["session_mgmt.middleware.AtomicRequestMiddleware"]
    ours = WSGIHandler()

    def application(handler: WSGIHandler, *, atomic: bool) -> Callable[..., object]:
        def answer(*arguments: object) -> object:
            connections.settings["default"]["ATOMIC_REQUESTS"] = atomic
            return handler(*arguments)

        return answer

    return {
        CONTENDERS[0]: application(plain, atomic=False),
        CONTENDERS[1]: application(plain, atomic=True),
        CONTENDERS[2]: application(ours, atomic=False),
    }


def run(application: Callable[..., object], path: str, requests: int) -> float:
    """Send so many requests and return the seconds that they took."""
    statuses: list[str] = []
    started = time.perf_counter()
    for _ in range(requests):
        environment = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.input": BytesIO(),
            "wsgi.url_scheme": "http",
        }
        response = application(environment, lambda status, headers: statuses.append(status))
        response.close()  # type: ignore[attr-defined] # as a server does
    took = time.perf_counter() - started
    assert statuses == ["200 OK"] * requests, set(statuses)  # noqa: S101 # else the time means nothing
    return took


if __name__ == "__main__":
    main()
