"""The answer when trying again a little later may help."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.http import HttpResponse
from django.template import TemplateDoesNotExist, loader
from django.utils.html import format_html
from django.utils.translation import get_language, gettext

from session_mgmt.db.errors import Fault, classify
from session_mgmt.db.outage import log_once_a_second
from session_mgmt.exceptions import CommitOutcomeUnknownError

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["SAFE_METHODS", "unavailable"]

logger = logging.getLogger(__name__)

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_RETRY_AFTER: Final = 2  # seconds


def unavailable(
    request: HttpRequest, error: BaseException, *, is_whole: bool
) -> HttpResponse | None:
    """Return a 503 with Retry-After if the same request may be sent again; else None.

    A client is invited to send the request again only if that is safe, or if the request was one
    transaction as a whole. One whose COMMIT was not answered may have done its work, so for other
    methods that is no 503. A project's own `503.html` is used if there is one.
    """
    if isinstance(error, CommitOutcomeUnknownError) and request.method not in SAFE_METHODS:
        return None
    fault = classify(error)
    if fault is Fault.PERMANENT:
        return None
    if fault is Fault.TRANSIENT:
        logger.error("%s: transient database error, answering 503", request.path, exc_info=error)
    else:
        log_once_a_second(error)
    response = HttpResponse(_page(), status=503)
    if request.method in SAFE_METHODS or is_whole:
        response["Retry-After"] = str(_RETRY_AFTER)
    # Django would log a line of its own for each of a storm of requests.
    response._has_been_logged = True  # type: ignore[attr-defined] # as Django's log_response sets
    return response


def _page() -> str:
    try:
        return loader.get_template("503.html").render()
    except TemplateDoesNotExist:
        return format_html(
            '<!doctype html><html lang="{}"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>{}</title>'
            "<h1>{}</h1><p>{}</p></html>",
            get_language() or "en",
            gettext("Unavailable"),
            gettext("Unavailable for a moment"),
            gettext("The database does not answer. Please try again in a few seconds."),
        )
