"""Real brokers, and a real worker of each engine on the test's database."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from celery import Celery, _state
from kombu import pools

from tests.engines import (
    job_handlers,  # noqa: F401 # this process dispatches what it knows
    setups,
)
from tests.engines.brokers import rabbitmq_server, redis_server

NAMES = ("database", "rq", "celery_redis", "celery_rabbitmq")


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory):
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as port:
        yield port


@pytest.fixture(scope="session")
def setup_of(request):
    """Return a function that gives the setup of an engine by name."""

    def give(name):
        if name == "database":
            return setups.database()
        port = request.getfixturevalue("rabbitmq" if name == "celery_rabbitmq" else "redis")
        if name == "rq":
            return setups.rq(port)
        if name == "celery_redis":
            return setups.celery(name, f"redis://127.0.0.1:{port}/1")
        return setups.celery(name, f"amqp://guest:guest@127.0.0.1:{port}//")

    return give


@pytest.fixture
def use(settings):
    """Return a context manager in which this process delivers with a setup."""

    @contextmanager
    def using(setup):
        common = {"JOB_RETRY_DELAY": 0.3, "REDISPATCH_AFTER": 60}
        for name, value in setup.settings.items():
            if name != "INSTALLED_APPS":
                setattr(settings, name, value)
        settings.SESSION_MGMT = common | setup.settings.get("SESSION_MGMT", {})
        app = Celery("tests", set_as_current=False)
        app.config_from_object("django.conf:settings", namespace="CELERY")
        before = _state._tls.current_app
        app.set_current()
        try:
            yield setup
        finally:
            pools.reset()
            app.close()
            _state._set_current_app(before)

    return using


@pytest.fixture(scope="module", params=NAMES)
def worker(request, setup_of, django_db_setup):
    """Return the worker of each engine in turn; it runs until the module's tests are done."""
    worker = setups.Worker(setup_of(request.param))
    yield worker
    worker.kill()


@pytest.fixture
def engine(worker, use, transactional_db):
    """Deliver with the worker's engine, and have the worker run."""
    worker.ensure()
    with use(worker.setup) as setup:
        yield setup
