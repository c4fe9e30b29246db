"""A site of views that end in every way that a view can end."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, connections, transaction
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path

from session_mgmt.db import get_db_session


def write(request):
    Group.objects.create(name=request.GET.get("name", "written"))


def answer(request):
    status = int(request.GET.get("status", 200))
    return HttpResponse(b"" if status == 204 else b"ok", status=status)


def fail(request):
    raise {"404": Http404, "403": PermissionDenied}.get(request.GET.get("what"), ZeroDivisionError)


def ok(request):
    write(request)
    return answer(request)


def raises(request):
    write(request)
    fail(request)


def swallows(request):
    write(request)
    with suppress(IntegrityError):
        write(request)
    return answer(request)


def handles(request):
    write(request)
    with suppress(IntegrityError), transaction.atomic():
        write(request)
    return HttpResponse("ok")


def hook_fails(request):
    write(request)
    transaction.on_commit(lambda: 1 / 0)
    transaction.on_commit(lambda: Group.objects.create(name="later hook"))
    return HttpResponse("ok")


def hook_without_query(request):
    transaction.on_commit(lambda: write(request))
    return HttpResponse(connection.connection is None)


# Commits that fail


def permission_of_nothing(request):
    """The foreign key is checked at COMMIT, on both databases."""
    request.session["changed"] = True
    write(request)
    Permission.objects.create(name="nothing", codename="nothing", content_type_id=10**6)
    return HttpResponse("ok")


def serialization_failure(request):
    """Another transaction and this one each read what the other writes; the second one fails.

    It does so at its next statement, which is COMMIT, or the one that saves the session.
    """
    if "session" in request.GET:
        request.session["changed"] = True
    level = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
    count = "SELECT count(*) FROM auth_group"
    with connection.cursor() as cursor:
        cursor.execute(level)
        cursor.execute(count)
    write(request)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(level)
        other.execute(count)
        other.execute("INSERT INTO auth_group (name) VALUES ('other')")
    return HttpResponse("ok")


# Streams; `hold` is a file, and the body goes on when that has gone


def state():
    """Say what a view or a body finds: its connections, and whether a transaction is open."""
    return {
        alias: {
            "connected": connections[alias].connection is not None,
            "in_transaction": connections[alias].in_atomic_block,
        }
        for alias in connections
    }


def streams(request):
    write(request)

    def body():
        yield f"{connection.in_atomic_block} {connection.connection is not None}\n"
        while (hold := request.GET.get("hold")) and Path(hold).exists():
            time.sleep(0.02)
        yield f"{Group.objects.count()}"

    return StreamingHttpResponse(body())


async def astreams(request):
    await sync_to_async(write)(request)
    in_transaction = sync_to_async(lambda: connection.in_atomic_block)
    connected = sync_to_async(lambda: connection.connection is not None)

    async def body():
        yield f"{await in_transaction()} {await connected()}\n"
        while (hold := request.GET.get("hold")) and Path(hold).exists():
            await asyncio.sleep(0.02)
        yield f"{await Group.objects.acount()}"

    return StreamingHttpResponse(body())


@transaction.non_atomic_requests
def non_atomic(request):
    write(request)
    fail(request)


def no_query(request):
    return HttpResponse(f"{connection.connection is None}")


# Async views


async def aok(request):
    await sync_to_async(write)(request)
    return answer(request)


async def araises(request):
    await sync_to_async(write)(request)
    fail(request)


together = {}


async def meets(request):
    """Write, wait until all of the party have written, and end as the request says."""
    party = int(request.GET["party"])
    barrier = together.setdefault(party, asyncio.Barrier(party))
    await sync_to_async(write)(request)
    pid = await sync_to_async(backend_pid)()
    async with asyncio.timeout(20):
        await barrier.wait()
    if "what" in request.GET:
        fail(request)
    return HttpResponse(pid)


async def gathers(request):
    """Open two sessions at the same time on the one connection of the request."""

    async def add(name):
        async with get_db_session() as session:
            await session.aadd(Group(name=name))
            await asyncio.sleep(0.05)

    await sync_to_async(write)(request)
    await asyncio.gather(add("one"), add("two"))
    return HttpResponse("ok")


async def hangs(request):
    """Write, tell that by a file, and stay until somebody hangs up."""
    await sync_to_async(write)(request)
    Path(request.GET["reached"]).touch()
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        Path(request.GET["reached"]).unlink()
        raise
    return HttpResponse("ok")


# Sessions and several databases


def changes_session(request):
    request.session["changed"] = True
    if request.GET.get("status") is None:
        fail(request)
    return answer(request)


def writes_both(request):
    for alias in request.GET["aliases"].split(","):
        Group.objects.using(alias).create(name=request.GET.get("name", "written"))
    if "what" in request.GET:
        fail(request)
    response = JsonResponse(state())
    response.status_code = int(request.GET.get("status", 200))
    return response


def backend_pid():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def pid(request):
    return HttpResponse(backend_pid())


def reads(request):
    return HttpResponse(Group.objects.count())


async def areads(request):
    return HttpResponse(await Group.objects.acount())


view = None  # a test's own


def own(request):
    return view(request)


@transaction.non_atomic_requests
def non_atomic_own(request):
    return view(request)


async def aown(request):
    return await view(request)


urlpatterns = [
    path("live/", include("session_mgmt.live.urls")),
    *(
        path(f"{view.__name__}/", view)
        for view in (
            ok, raises, swallows, handles, hook_fails, hook_without_query, permission_of_nothing,
            serialization_failure, streams, astreams, non_atomic, no_query, aok, araises, meets,
            gathers, hangs, changes_session, writes_both, pid, reads, areads, own,
            non_atomic_own, aown,
        )
    ),
]  # fmt: skip
