"""One request is one transaction."""

from session_mgmt.middleware.requests import AtomicRequestMiddleware
from session_mgmt.middleware.views import atomic_request

__all__ = ["AtomicRequestMiddleware", "atomic_request"]
