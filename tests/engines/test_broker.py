"""What a broker gets to see, and what becomes of jobs while it is away; no worker takes part."""

from datetime import timedelta

import kombu.utils.functional
import pytest
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from session_mgmt.jobs import rescue_jobs
from session_mgmt.jobs.engines import get_engine
from session_mgmt.models import Job
from tests.engines import setups
from tests.engines.conftest import NAMES
from tests.engines.gateway import Gateway
from tests.engines.jobs import make
from tests.engines.wire import waiting

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "canary-4711-canary"


def setup_at(name, port):
    """Return a setup whose messages no worker of another test takes."""
    if name == "database":
        return setups.database()
    if name == "rq":
        setup = setups.rq(port, number=8)
        # Its client would try ten times, with pauses.
        impatient = {"retry": Retry(NoBackoff(), 1)}
        setup.settings["RQ_QUEUES"]["default"]["REDIS_CLIENT_KWARGS"] = impatient
        return setup
    where = f"redis://127.0.0.1:{port}/9" if name == "celery_redis" else f"amqp://127.0.0.1:{port}"
    setup = setups.celery(name, where)
    setup.settings["CELERY_TASK_DEFAULT_QUEUE"] = "unheard"
    return setup


@pytest.fixture
def broker(request):
    """Return a function that gives the port of an engine's broker."""

    def port(name):
        server = {"celery_rabbitmq": "rabbitmq", "database": None}.get(name, "redis")
        return server and request.getfixturevalue(server)

    return port


@pytest.mark.parametrize("name", NAMES)
def test_only_the_number_travels(name, broker, use):
    with use(setup_at(name, broker(name))) as setup:
        job = make("engines_note", CANARY, {"file": CANARY})
        late = timezone.now() + timedelta(hours=1)
        get_engine().deliver(job.pk, "default", priority=7, run_after=late)
        messages = waiting(setup, 2)
    assert len(messages) == 2
    for message in messages:
        assert CANARY not in message.text
        assert "session_mgmt" in message.text
        assert "run_job" in message.text
        if name != "rq":
            assert message.arguments == [job.pk, "default"]


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("database", [-100, -1, 0, 100]),
        ("celery_redis", [9, 5, 5, 0]),
        ("celery_rabbitmq", [0, 4, 4, 9]),
    ],
)
def test_a_priority_is_put_on_the_scale_of_the_broker(name, levels, broker, use):
    with use(setup_at(name, broker(name))) as setup:
        for number, priority in enumerate((-100, -1, 0, 100)):
            get_engine().deliver(number, "default", priority=priority, run_after=None)
        found = {message.arguments[0]: message.priority for message in waiting(setup, 4)}
    assert [found[number] for number in range(4)] == levels


@pytest.fixture
def gateway(request, broker):
    with Gateway(broker(request.getfixturevalue("name"))) as gateway:
        yield gateway


@pytest.mark.parametrize("name", ["rq", "celery_redis", "celery_rabbitmq"])
def test_a_job_is_created_while_the_broker_is_away_and_sent_when_it_is_back(
    name, gateway, use, monkeypatch, caplog
):
    def wait_for_the_broker(seconds):
        raise AssertionError("whoever creates a job does not wait for the broker")

    with use(setup_at(name, gateway.port)) as setup:
        with monkeypatch.context() as patches:
            patches.setattr(kombu.utils.functional, "sleep", wait_for_the_broker)
            job = make("engines_note", parameters={"file": ""})
        assert Job.objects.get().dispatched_at is None
        assert "AssertionError" not in caplog.text
        assert rescue_jobs().redispatched == 0, "it is still away"
        gateway.open()
        assert rescue_jobs().redispatched == 1
        assert rescue_jobs().redispatched == 0
        assert len(waiting(setup, 1)) == 1
        job.refresh_from_db()
        assert job.dispatched_at is not None


@pytest.mark.parametrize("name", ["rq", "celery_redis", "celery_rabbitmq"])
def test_a_broker_that_was_restarted_is_told_at_once(name, gateway, use):
    gateway.open()
    with use(setup_at(name, gateway.port)) as setup:
        make("engines_note", "before", {"file": ""})
        assert len(waiting(setup, 1)) == 1
        gateway.shut()
        gateway.open()
        make("engines_note", "after", {"file": ""})
        assert not Job.objects.filter(dispatched_at=None).exists()
        assert len(waiting(setup, 1)) == 1
