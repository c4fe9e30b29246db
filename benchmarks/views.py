"""The views that are measured, and their addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.http import HttpResponse
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest


def nothing(request: HttpRequest) -> HttpResponse:
    """Ask the database nothing."""
    return HttpResponse("ok")


def one_query(request: HttpRequest) -> HttpResponse:
    """Ask the database one thing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return HttpResponse(str(cursor.fetchone()))


urlpatterns = [path("nothing/", nothing), path("one-query/", one_query)]
