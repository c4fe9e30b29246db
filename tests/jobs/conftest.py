"""Handlers for the tests of jobs."""

import pytest

from session_mgmt.jobs import handlers as registry
from session_mgmt.jobs import job_handler
from tests.jobs import handlers


@pytest.fixture(autouse=True)
def register(monkeypatch):
    """Return a function that registers a handler for the length of a test."""
    monkeypatch.setattr(registry, "_handlers", dict(registry._handlers))
    for function in (handlers.echo, handlers.raise_error, handlers.three_scenes):
        job_handler(function.__name__)(function)
    return lambda name, function, **options: job_handler(name, **options)(function)
