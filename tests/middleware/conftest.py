"""Real servers on the test's database, and that database as others see it."""

import json
import sqlite3
from contextlib import closing

import psycopg
import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.auth.models import Group
from django.db import connection

from tests.middleware import site as views
from tests.middleware.around import leftovers
from tests.middleware.servers import COMMANDS, serving

MIDDLEWARE = [
    "session_mgmt.middleware.AtomicRequestMiddleware",
    "tests.middleware.around.UseDatabaseFirst",
]
STRICT = {"ROLLBACK_ON_4XX": True, "ATOMIC_SAFE_METHODS": False, "ATOMIC_ALIASES": ["default"]}
# Only what the tests on servers need of the second database.
OTHER_TABLE = "CREATE TABLE auth_group (id {} PRIMARY KEY, name varchar(150) UNIQUE)"


def is_postgres():
    return connection.vendor == "postgresql"


@pytest.fixture
def postgres():
    """Skip the test on SQLite."""
    if not is_postgres():
        pytest.skip("needs what only PostgreSQL has")


@pytest.fixture
def ask(client, async_client, settings, monkeypatch):
    """Return a function that has a view of the test's own answer a request of the test client."""
    settings.ROOT_URLCONF = "tests.middleware.site"
    settings.MIDDLEWARE = MIDDLEWARE
    client.raise_request_exception = async_client.raise_request_exception = False

    def ask(view, method="get", query="", path="/own/", **more):
        monkeypatch.setattr(views, "view", view)
        if iscoroutinefunction(view):
            response = async_to_sync(getattr(async_client, method))(f"/aown/{query}", **more)
        else:
            response = getattr(client, method)(f"{path}{query}", **more)
        assert connection.in_atomic_block or leftovers() == []
        return response

    return ask


@pytest.fixture(scope="package")
def database(django_db_setup, django_db_blocker):
    """The test's database, for fixtures that outlive a test."""
    with django_db_blocker.unblock():
        yield
        connection.close()


@pytest.fixture(scope="package")
def other_database(database, tmp_path_factory):
    """Yield a function that connects to a second database of the same kind, and its name."""
    if not is_postgres():
        name = str(tmp_path_factory.mktemp("other") / "other.sqlite3")
        with closing(sqlite3.connect(name)) as other, other:
            other.execute(OTHER_TABLE.format("integer"))
        yield lambda: sqlite3.connect(name, isolation_level=None), name
        return
    name = f"{connection.settings_dict['NAME']}_other"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name}")
    parameters = connection.get_connection_params() | {"dbname": name}
    with psycopg.connect(**parameters) as other:
        other.execute(OTHER_TABLE.format("integer GENERATED ALWAYS AS IDENTITY"))
    yield lambda: psycopg.connect(**parameters, autocommit=True), name
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="package", params=COMMANDS)
def site(request, other_database):
    """The site on an ASGI and on a WSGI server."""
    with serving(request.param, TEST_OTHER_NAME=other_database[1]) as site:
        yield site


@pytest.fixture(scope="package", params=COMMANDS)
def strict_site(request, other_database):
    """The same with the settings that a project may change; one thread keeps its connection."""
    with serving(
        request.param,
        threads=1,
        TEST_OTHER_NAME=other_database[1],
        TEST_SESSION_MGMT=json.dumps(STRICT),
        TEST_DATABASE=json.dumps({"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}),
    ) as site:
        yield site


@pytest.fixture
def names():
    """Return the groups that everybody can see."""
    return lambda: sorted(Group.objects.values_list("name", flat=True))


@pytest.fixture
def both_names(names, other_database):
    """Return the groups of both databases."""

    def query(sql):
        other = other_database[0]()
        try:
            return [name for (name,) in other.execute(sql).fetchall()]
        finally:
            other.close()

    yield lambda: {
        "default": names(),
        "other": query("SELECT name FROM auth_group ORDER BY name"),
    }
    query("DELETE FROM auth_group RETURNING name")


@pytest.fixture
def other_conflict(other_database):
    """The second database refuses every commit of a new group, as after a conflict."""
    with other_database[0]() as other:
        other.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'conflict' USING ERRCODE = '40001'; END $$"
        )
        other.execute(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON auth_group"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        yield
        other.execute("DROP FUNCTION refuse CASCADE")


@pytest.fixture
def backends(database):
    """Return how many connections a site has in each state, as the server sees them."""

    def count(site):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT state, count(*) FROM pg_stat_activity WHERE application_name = %s"
                " GROUP BY state",
                [site.name],
            )
            return dict(cursor.fetchall())

    return count
