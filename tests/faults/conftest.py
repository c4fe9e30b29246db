"""Gives tests a PostgreSQL that they may break, a proxy before it, and Django aliases for them."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import connections

from example_project.locks import exclusive
from tests.faults.proxy import Proxy
from tests.faults.servers import Server
from tests.processes import ROOT


@pytest.fixture(scope="session")
def cluster():
    """One server for all; use `server`."""
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    # `python -m tests` removes folders of this name that a killed run left, if nobody locks them.
    folder = Path(tempfile.mkdtemp(prefix="tests-faults-", dir=var))
    with exclusive(folder / "lock", patience=0):
        folder.chmod(0o711)  # PostgreSQL runs as another user when this is root
        server = Server(folder)
        try:
            server.start()
            server.prepare()
            yield server
        finally:
            server.leave()
            shutil.rmtree(folder)


@pytest.fixture
def server(cluster):
    """A running PostgreSQL with a fresh table `fault_row`; a test may do to it what it likes."""
    cluster.start()
    cluster.reset()
    yield cluster
    cluster.start()


@pytest.fixture
def proxy(server):
    """What stands between clients and the server, and cuts them off as told."""
    with Proxy(server.socket_path) as proxy:
        yield proxy


@pytest.fixture
def add_database(request, django_db_blocker):
    """Add an alias to Django's databases for this test: `add_database(alias, entry)`.

    The alias works with and without `django_db`, and no transaction of a test is around it. Each
    thread of a test that used it closes its own connections.
    """
    for fixture in ("db", "transactional_db"):
        if fixture in request.fixturenames:
            request.getfixturevalue(fixture)  # it blocks what is not its own, so it comes first
    with django_db_blocker.unblock(), ExitStack() as stack:

        def add(alias, entry):
            connections.settings[alias] = entry
            connections.configure_settings(connections.settings)
            stack.callback(_remove, alias)
            return alias

        yield add


def _remove(alias):
    connection = connections[alias]
    connection.close()
    if getattr(connection, "pool", None):
        connection.close_pool()
    del connections[alias]
    del connections.settings[alias]


@pytest.fixture
def faulty(server, add_database):
    """The alias of a plain database on the server."""
    return add_database("faulty", server.settings())


@pytest.fixture
def pooled(server, add_database):
    """The alias of a pooled database on the server; the pool has one connection."""
    pool = {"min_size": 1, "max_size": 1, "timeout": 5}
    return add_database("pooled", server.settings(OPTIONS={"pool": pool}))


@pytest.fixture
def proxied(server, proxy, add_database):
    """The alias of a database behind the proxy."""
    return add_database("proxied", server.settings(**proxy.address))
