"""A site of views that end in every way that a view can end."""

from contextlib import suppress

from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.urls import path


def write(request):
    Group.objects.create(name=request.GET.get("name", "written"))


def ok(request):
    write(request)
    return HttpResponse("ok", status=int(request.GET.get("status", 200)))


def raises(request):
    write(request)
    raise {"404": Http404, "403": PermissionDenied}.get(request.GET.get("what"), ZeroDivisionError)


def swallows(request):
    write(request)
    with suppress(IntegrityError):
        write(request)
    return HttpResponse("ok", status=int(request.GET.get("status", 200)))


def handles(request):
    write(request)
    with suppress(IntegrityError), transaction.atomic():
        write(request)
    return HttpResponse("ok")


def hook_fails(request):
    write(request)
    transaction.on_commit(lambda: 1 / 0)
    return HttpResponse("ok")


def hook_without_query(request):
    transaction.on_commit(lambda: write(request))
    return HttpResponse(connection.connection is None)


def streams(request):
    write(request)

    def body():
        yield f"{connection.in_atomic_block} {Group.objects.count()}"

    return StreamingHttpResponse(body())


@transaction.non_atomic_requests
def non_atomic(request):
    write(request)
    raise ZeroDivisionError


def no_query(request):
    return HttpResponse(f"{connection.connection is None}")


async def aok(request):
    await sync_to_async(write)(request)
    return HttpResponse("ok", status=int(request.GET.get("status", 200)))


async def araises(request):
    await sync_to_async(write)(request)
    raise ZeroDivisionError


urlpatterns = [
    path(f"{view.__name__}/", view)
    for view in (
        ok, raises, swallows, handles, hook_fails, hook_without_query, streams, non_atomic,
        no_query, aok, araises,
    )
]  # fmt: skip
