"""Middleware around and inside of AtomicRequestMiddleware."""

import json

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.models import Group
from django.db import connections
from django.http import HttpResponse
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

REPLACED = {"ensure_connection", "close_if_health_check_failed"}


def leftovers():
    """Return what requests have left on this thread's connections, which must be nothing."""
    return [
        f"{connection.alias}: {what}={value}"
        for connection in connections.all(initialized_only=True)
        for what, value in {
            "replaced": sorted(REPLACED & vars(connection).keys()),
            "execute_wrappers": connection.execute_wrappers,
            "atomic_blocks": connection.atomic_blocks,
            "savepoint_ids": connection.savepoint_ids,
            "run_on_commit": connection.run_on_commit,
            "in_atomic_block": connection.in_atomic_block,
            # Django leaves it on a connection that was closed, and forgets it when it connects.
            "needs_rollback": connection.needs_rollback and connection.connection is not None,
        }.items()
        if value
    ]


@sync_and_async_middleware
def report_leftovers(get_response):
    """Stand outermost, and say what each request has left behind."""

    def report(response):
        response["X-Leftovers"] = json.dumps(leftovers())
        return response

    def middleware(request):
        return report(get_response(request))

    async def amiddleware(request):
        return await sync_to_async(report)(await get_response(request))

    return amiddleware if iscoroutinefunction(get_response) else middleware


class UseDatabaseFirst(MiddlewareMixin):
    """Read or write before the view if the request says so."""

    def process_request(self, request):
        if "read_first" in request.GET:
            Group.objects.exists()
        if "write_first" in request.GET:
            Group.objects.create(name=request.GET["write_first"])


class AnswerExceptions(MiddlewareMixin):
    """Turn every exception into an answer if the request says with what status."""

    def process_exception(self, request, exception):
        if "swallow" in request.GET:
            return HttpResponse("swallowed", status=int(request.GET["swallow"]))
        return None
