"""A view under `atomic_request(retry=...)`."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from psycopg import errors

from session_mgmt.exceptions import ConfigurationError
from session_mgmt.middleware import atomic_request
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_waiting(settings):
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0}


def conflict():
    """Return Django's error for a conflict, as PostgreSQL's driver reports it."""
    error = OperationalError("conflict")
    error.__cause__ = errors.SerializationFailure("conflict")
    return error


class Failing:
    """Adds a group and fails the first few times."""

    def __init__(self, times, error=conflict):
        self.calls = 0
        self._times, self._error = times, error

    def __call__(self):
        self.calls += 1
        Group.objects.create(name=f"call {self.calls}")
        if self.calls <= self._times:
            raise self._error()


def plain(work, retry=2):
    @atomic_request(retry=retry)
    def view(request):
        work()
        return HttpResponse("ok")

    return view


def asynchronous(work, retry=2):
    @atomic_request(retry=retry)
    async def view(request):
        await sync_to_async(work)()
        return HttpResponse("ok")

    return view


KINDS = pytest.mark.parametrize("kind", [plain, asynchronous])


@KINDS
def test_a_view_runs_again_and_its_effects_are_there_once(ask, names, kind):
    work = Failing(2)
    assert ask(kind(work)).status_code == 200
    assert names() == ["call 3"]


@KINDS
def test_when_all_is_exhausted_the_client_may_try_again(ask, names, kind):
    work = Failing(9)
    response = ask(kind(work))
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert work.calls == 3
    assert names() == []


@KINDS
@pytest.mark.parametrize("error", [ZeroDivisionError, OperationalError])
def test_other_errors_are_not_repeated(ask, names, kind, error):
    def permanent():
        exception = error("permanent")
        exception.__cause__ = errors.UniqueViolation() if error is OperationalError else None
        return exception

    work = Failing(1, permanent)
    assert ask(kind(work)).status_code == 500
    assert work.calls == 1
    assert names() == []


# Real errors


@pytest.fixture
def other(postgres):
    """Somebody else's connection to the test's database."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        yield other


@KINDS
def test_a_real_serialization_failure_is_repeated(ask, names, other, kind):
    row = Group.objects.create(name="row")
    levels = []

    def work():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        levels.append(Group.objects.get().name)
        if len(levels) == 1:
            other.execute("UPDATE auth_group SET name = 'theirs'")
        Group.objects.filter(pk=row.pk).update(name=f"ours after {levels[-1]}")

    assert ask(kind(work)).status_code == 200
    assert levels == ["row", "theirs"]
    assert names() == ["ours after theirs"]


@KINDS
def test_a_real_deadlock_is_repeated(ask, names, other, kind):
    first, second = (Group.objects.create(name=name).pk for name in ("first", "second"))
    lock = "SELECT id FROM auth_group WHERE id = %s FOR UPDATE"
    waiting = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
    calls = []

    def other_waits():
        with connection.cursor() as cursor:
            cursor.execute(waiting, [other.info.backend_pid])
            return cursor.fetchone()

    def work():
        calls.append(Group.objects.select_for_update().get(pk=first))
        if len(calls) == 1:
            view_has_first.set()
            wait_until(other_waits)
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
        Group.objects.filter(pk=second).update(name="done")

    def lock_both():
        with other.transaction():
            other.execute("SET LOCAL deadlock_timeout = '1min'")
            other.execute(lock, [second])
            other_has_second.set()
            assert view_has_first.wait(20)
            other.execute(lock, [first])

    other_has_second, view_has_first = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as thread:
        locking = thread.submit(lock_both)
        assert other_has_second.wait(20)
        answer = ask(kind(work))
        locking.result()
    assert answer.status_code == 200
    assert len(calls) == 2
    assert names() == ["done", "first"]


@KINDS
def test_a_lost_connection_is_repeated_on_a_new_one(ask, names, other, kind):
    pids = []

    def work():
        Group.objects.create(name=f"call {len(pids)}")
        pids.append(connection.connection.info.backend_pid)
        if len(pids) == 1:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", pids)
        assert Group.objects.exists()

    assert ask(kind(work)).status_code == 200
    assert len(set(pids)) == 2
    assert names() == ["call 1"]


# What may not be repeated


@KINDS
def test_a_view_is_not_repeated_after_a_write_before_it(ask, names, kind):
    work = Failing(1)
    assert ask(kind(work), query="?write_first=written").status_code == 503
    assert work.calls == 1
    assert names() == []


@KINDS
def test_a_view_is_repeated_after_a_read_before_it(ask, names, postgres, kind):
    assert ask(kind(Failing(1)), query="?read_first").status_code == 200
    assert names() == ["call 2"]


def test_a_view_without_a_transaction_is_not_repeated(ask, names):
    work = Failing(1)
    assert ask(plain(work), path="/non_atomic_own/").status_code == 503
    assert work.calls == 1
    assert names() == ["call 1"]


# What the client sent


def test_files_are_read_from_their_beginning_again(ask):
    read = []
    work = Failing(1)

    @atomic_request(retry=1)
    def view(request):
        read.append((request.POST["name"], request.FILES["file"].read()))
        work()
        return HttpResponse("ok")

    data = {"name": "value", "file": SimpleUploadedFile("file.txt", b"content")}
    assert ask(view, "post", data=data).status_code == 200
    assert read == [("value", b"content")] * 2


@pytest.mark.parametrize(("how", "calls"), [("body", 2), ("read", 1)])
def test_a_stream_that_was_consumed_cannot_be_read_again(ask, how, calls):
    read = []
    work = Failing(1)

    @atomic_request(retry=1)
    def view(request):
        read.append(request.read() if how == "read" else request.body)
        work()
        return HttpResponse("ok")

    response = ask(view, "post", data=b"content", content_type="text/plain")
    assert response.status_code == (200 if calls == 2 else 503)
    assert read == [b"content"] * calls


# How it is used


def test_it_needs_the_middleware():
    with pytest.raises(ImproperlyConfigured, match="AtomicRequestMiddleware"):
        plain(lambda: None)(RequestFactory().get("/"))
    with pytest.raises(ImproperlyConfigured, match="AtomicRequestMiddleware"):
        asyncio.run(asynchronous(lambda: None)(RequestFactory().get("/")))


def test_a_negative_number_is_refused():
    with pytest.raises(ConfigurationError, match="-1"):
        atomic_request(retry=-1)


def test_the_view_keeps_its_name_and_what_django_asks_of_it():
    assert plain(lambda: None).__name__ == "view"
    assert not iscoroutinefunction(plain(lambda: None))
    assert iscoroutinefunction(asynchronous(lambda: None))
    exempt = atomic_request(retry=1)(transaction.non_atomic_requests(plain(lambda: None)))
    assert exempt._non_atomic_requests == {"default"}
