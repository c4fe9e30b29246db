"""What came before a request or a view, and what comes of it."""

import logging
import time

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.http import HttpResponse

from session_mgmt.db import get_db_session, outage
from session_mgmt.middleware import atomic_request
from tests.db.conftest import fail_transiently
from tests.faults.conftest import add_database  # noqa: F401 # a fixture
from tests.middleware.test_retry import conflict

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_waiting(settings, monkeypatch):
    monkeypatch.setattr(outage, "_away_until", {})
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0}


def test_a_first_use_that_closes_what_it_opened_does_not_end_the_transaction(ask, names):
    def view(request):
        with connection.temporary_connection() as cursor:  # as Django asks for a server's version
            cursor.execute("SELECT 1")
        Group.objects.create(name="written")
        return HttpResponse("ok")

    connection.close()
    assert ask(view).status_code == 200
    assert names() == ["written"]


def test_a_session_that_was_never_closed_does_not_take_the_next_request_along(ask, names, caplog):
    def view(request):
        Group.objects.create(name="ordered")
        return HttpResponse("ok")

    get_db_session().open().add(Group(name="forgotten"))
    assert ask(view).status_code == 200
    assert names() == ["ordered"]
    assert [r.levelno for r in caplog.records if "never closed" in r.message] == [logging.CRITICAL]


@pytest.mark.parametrize(("method", "retry_after"), [("post", None), ("get", "2")])
def test_only_a_safe_request_to_a_non_atomic_view_is_invited_again(ask, names, method, retry_after):
    def view(request):
        Group.objects.create(name="kept")
        fail_transiently()

    response = ask(view, method=method, path="/non_atomic_own/")
    assert (response.status_code, response.get("Retry-After")) == (503, retry_after)
    assert names() == ["kept"]


@pytest.mark.parametrize("aliases", [None, ["default"]])
def test_a_view_does_not_wait_for_a_pool_whose_server_is_gone(
    ask, postgres, request, settings, aliases
):
    entry = {**connection.settings_dict, "HOST": "/nowhere", "TEST": {}}
    entry["OPTIONS"] = {"pool": {"min_size": 1, "timeout": 20}}
    request.getfixturevalue("add_database")("gone", entry)
    settings.SESSION_MGMT = {"ATOMIC_ALIASES": aliases}

    def view(request):
        Group.objects.using("gone").exists()

    started = time.monotonic()
    assert ask(view).status_code == 503
    assert time.monotonic() - started < 15


def test_hooks_from_before_a_view_survive_its_repetition(ask, names):
    calls, ran = [], []

    @atomic_request(retry=1)
    def repeated(request):
        calls.append(1)
        transaction.on_commit(lambda: ran.append(f"view {len(calls)}"))
        Group.objects.create(name="g")
        if len(calls) == 1:
            raise conflict()
        return HttpResponse("ok")

    def view(request):
        transaction.on_commit(lambda: ran.append("before"))
        return repeated(request)

    assert ask(view).status_code == 200
    assert ran == ["before", "view 2"]
    assert names() == ["g"]


def test_a_view_that_changed_the_session_is_not_repeated(ask, names, settings):
    calls = []

    @atomic_request(retry=1)
    def view(request):
        calls.append(1)
        request.session["n"] = 1
        raise conflict()

    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.sessions.middleware.SessionMiddleware",
    ]
    assert ask(view).status_code == 503
    assert len(calls) == 1
