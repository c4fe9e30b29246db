"""Answer 503 also when Django has turned the error into a 500 before the middleware saw it.

The error of a view comes to `process_exception`. That of an inner middleware does not, as when the
session is read before the view or saved after it; Django only tells that there was one.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

from django.core.signals import got_request_exception

from session_mgmt.middleware.answers import unavailable
from session_mgmt.middleware.unit import RequestTransaction

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["connect"]


class _NotAnswered(logging.Filter):
    """Leaves out the traceback of an error that has its answer, and its line in the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        transaction = RequestTransaction.find(getattr(record, "request", None))
        return transaction is None or transaction.answer is None


_FILTER: Final = _NotAnswered()


def connect() -> None:
    """Begin to listen; harmless twice."""
    got_request_exception.connect(_find_answer)
    logging.getLogger("django.request").addFilter(_FILTER)


def _find_answer(*, request: HttpRequest | None = None, **_: object) -> None:
    transaction = RequestTransaction.find(request)
    error = sys.exc_info()[1]
    if request is not None and transaction is not None and error is not None:
        transaction.answer = unavailable(request, error, is_whole=transaction.is_whole)
