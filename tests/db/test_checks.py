"""What the checks say of pools and of the middleware."""

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import run_checks
from django.db import connection, connections
from django.db.utils import ConnectionHandler
from django.middleware.cache import CacheMiddleware

import session_mgmt.checks
from session_mgmt.checks import check_middleware, check_pool, check_pool_size
from session_mgmt.middleware import AtomicRequestMiddleware

ATOMIC = "session_mgmt.middleware.AtomicRequestMiddleware"
CACHE = "django.middleware.cache.UpdateCacheMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "x"}


class OwnSessions(SessionMiddleware):
    pass


class OwnAtomic(AtomicRequestMiddleware):
    pass


class OwnCache(CacheMiddleware):
    pass


def own(middleware):
    return f"{__name__}.{middleware.__name__}"


def a_function(get_response):
    return get_response


def ids(messages):
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


@pytest.fixture
def databases(monkeypatch):
    def use(**entries):
        handler = ConnectionHandler({"default": {}} | entries)
        monkeypatch.setattr(session_mgmt.checks, "connections", handler)

    return use


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"OPTIONS": {"pool": True}, "CONN_MAX_AGE": 60}, ["session_mgmt.E003"]),
        ({"OPTIONS": {"pool": {"min_size": 2}}, "CONN_MAX_AGE": None}, ["session_mgmt.E003"]),
        ({"OPTIONS": {"pool": True}, "CONN_MAX_AGE": 0}, []),
        ({"OPTIONS": {"pool": True}}, []),
        ({"OPTIONS": {"pool": False}, "CONN_MAX_AGE": 60}, []),
        ({"CONN_MAX_AGE": 60}, []),
    ],
)
def test_a_pool_with_persistent_connections_is_an_error(databases, entry, expected):
    databases(stories=POSTGRES | entry)
    found = check_pool(None)
    assert ids(found) == expected
    assert all("'stories'" in message.msg for message in found)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({"max_size": 100_000}, ["session_mgmt.W002"]),
        ({"min_size": 100_000}, ["session_mgmt.W002"]),
        ({"min_size": 1, "max_size": 2}, []),
        ({}, []),
        (True, []),
        (False, []),
    ],
)
def test_a_pool_that_is_larger_than_its_server_is_warned_of(
    on_postgresql, monkeypatch, pool, expected
):
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "pool", pool)
        found = [m for m in run_checks(databases=["default"]) if m.id == "session_mgmt.W002"]
        assert check_pool_size(None) == check_pool_size(None, databases=[]) == []
    assert ids(found) == expected


@pytest.mark.django_db
def test_the_connections_kept_for_the_superuser_do_not_count(on_postgresql, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_connections')::int")
        most = cursor.fetchone()[0]
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "pool", {"max_size": most})
        assert ids(check_pool_size(None, databases=["default"])) == ["session_mgmt.W002"]
    assert "pool" not in connections.settings["default"]["OPTIONS"]


@pytest.mark.django_db
def test_nothing_is_said_of_the_size_of_a_pool_whose_server_is_away(databases):
    nowhere = {"HOST": "/nowhere", "OPTIONS": {"pool": {"max_size": 100_000}}}
    databases(stories=POSTGRES | nowhere, lite={"ENGINE": "django.db.backends.sqlite3"})
    assert check_pool_size(None, databases=["stories", "lite"]) == []


@pytest.mark.parametrize("atomic", [ATOMIC, own(OwnAtomic)])
def test_atomic_requests_beside_the_middleware_is_an_error(settings, databases, atomic):
    databases(stories=POSTGRES | {"ATOMIC_REQUESTS": True}, other=POSTGRES)
    settings.MIDDLEWARE = [atomic]
    found = check_middleware(None)
    assert ids(found) == ["session_mgmt.E004"]
    assert "'stories'" in found[0].msg
    settings.MIDDLEWARE = [COMMON]
    assert check_middleware(None) == []


@pytest.mark.parametrize(
    ("middleware", "blamed"),
    [
        ([CACHE, ATOMIC, SESSIONS, AUTH, MESSAGES], []),
        ([COMMON, ATOMIC, COMMON], []),
        ([SESSIONS, CACHE], []),
        ([SESSIONS, ATOMIC, AUTH], [SESSIONS]),
        ([SESSIONS, COMMON, AUTH, MESSAGES, ATOMIC], [SESSIONS, AUTH, MESSAGES]),
        ([ATOMIC, CACHE], [CACHE]),
        ([MESSAGES, ATOMIC, CACHE], [MESSAGES, CACHE]),
        ([own(OwnSessions), ATOMIC], [own(OwnSessions)]),
        ([ATOMIC, own(OwnCache)], [own(OwnCache)]),
        ([SESSIONS, own(OwnAtomic)], [SESSIONS]),
        ([own(a_function), "nowhere.Middleware", "tests.db.Missing", "plain", ATOMIC], []),
    ],
)
def test_middleware_in_the_wrong_order_is_warned_of(settings, middleware, blamed):
    settings.MIDDLEWARE = middleware
    found = check_middleware(None)
    assert ids(found) == ["session_mgmt.W003"] * len(blamed)
    assert all(path in message.msg for path, message in zip(blamed, found, strict=True))


def test_the_checks_of_pool_and_middleware_are_registered(settings, monkeypatch):
    settings.MIDDLEWARE = [SESSIONS, ATOMIC]
    assert "session_mgmt.W003" in [message.id for message in run_checks()]
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "pool", True)
    assert "session_mgmt.E003" in [message.id for message in run_checks()]
