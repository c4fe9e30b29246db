"""A site whose PostgreSQL goes away and comes back, as its visitors see it."""

import json
import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.faults.conftest import cluster  # noqa: F401 # a fixture
from tests.faults.servers import ON_POSTGRES
from tests.middleware.servers import COMMANDS, serving
from tests.processes import wait_until

pytestmark = ON_POSTGRES
figures = logging.getLogger(__name__)  # `pytest -o log_cli=true --log-cli-level=INFO`

TABLES = (
    "CREATE TABLE auth_group (id serial PRIMARY KEY, name varchar(150) UNIQUE)",
    "CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY, session_data text,"
    " expire_date timestamptz)",
)
# A view, an async one, a session that is saved after the view, a middleware that reads before it.
NEED_DATABASE = ("/reads/", "/areads/", "/changes_session/?status=200", "/reads/?read_first")
NEED_NONE = ("/no_query/",)
POOL = {"min_size": 2, "max_size": 5, "timeout": 30, "reconnect_timeout": 1}
DATABASES = {
    "no pool": {},
    "a plain pool": {
        "TEST_DATABASE": json.dumps({"OPTIONS": {"pool": POOL}, "CONN_HEALTH_CHECKS": True})
    },
    "the library's pool": {"DB_POOL_SIZE": "2", "DB_MAX_OVERFLOW": "3"},
}
PATIENCE = 4.0  # seconds; usually it is less than 2, but not on a machine with much to do
OUTAGES = {"fast": 3.0, "immediate": 11.0}  # seconds; the long one because pools wait longer


@dataclass
class Visit:
    """What one request got, and when."""

    page: str
    began: float
    ended: float
    status: int | str
    retry_after: str | None

    @property
    def seconds(self):
        return self.ended - self.began


@dataclass
class Outage:
    """When the server was away."""

    logged: dict  # how long each log was before
    stopping: float = field(default_factory=time.monotonic)
    stopped: float = 0.0
    starting: float = 0.0
    started: float = 0.0
    ended: float = 0.0


@dataclass
class Visitors:
    """Some threads that ask one site for pages over and over, and what they got."""

    name: str
    site: object
    answers: list = field(default_factory=list)

    def start(self, stop):
        self.threads = [
            threading.Thread(target=self._visit, args=(page, stop), daemon=True)
            for page in (*NEED_DATABASE, *NEED_NONE)
        ]
        for thread in self.threads:
            thread.start()

    def _visit(self, page, stop):
        while not stop.wait(0.05):
            began = time.monotonic()
            try:
                answer = self.site.get(page)
                status, again = answer.status, answer.headers["Retry-After"]
            except (OSError, AssertionError) as error:
                status, again = repr(error), None
            self.answers.append(Visit(page, began, time.monotonic(), status, again))

    def of(self, pages, after=0.0, before=float("inf")):
        """Return the answers to what was asked for in a period."""
        return [
            each for each in [*self.answers] if each.page in pages and after < each.began < before
        ]

    def is_well(self, after):
        """Tell whether every page has been answered as it should since then."""
        answers = self.of(NEED_DATABASE, after)
        return {each.page for each in answers if each.status == 200} == set(NEED_DATABASE)


@pytest.fixture(scope="module")
def server(cluster):  # noqa: F811 # the fixture
    cluster.start()
    for table in TABLES:
        cluster.execute(table)
    yield cluster
    cluster.start()


@pytest.fixture(scope="module")
def visitors(server):
    """Visit every kind of server with every kind of database."""
    stop = threading.Event()
    with ExitStack() as stack:
        found = [
            Visitors(
                f"{kind}, {pool}",
                stack.enter_context(
                    serving(
                        kind,
                        DATABASE_URL=server.url,
                        TEST_DATABASE_NAME="session_mgmt",
                        **variables,
                    )
                ),
            )
            for kind in COMMANDS
            for pool, variables in DATABASES.items()
        ]
        for each in found:
            each.start(stop)
        yield found
        stop.set()
        for each in found:
            for thread in each.threads:
                thread.join()


@pytest.fixture(scope="module", params=OUTAGES.items(), ids=OUTAGES)
def outage(request, server, visitors):
    """Stop the server and start it again, and note when."""
    mode, seconds = request.param
    begun = time.monotonic()
    wait_until(lambda: all(each.is_well(begun) for each in visitors))
    outage = Outage({each.name: len(each.site.log()) for each in visitors})
    server.stop(mode)
    outage.stopped = time.monotonic()
    time.sleep(seconds)
    outage.starting = time.monotonic()
    server.start()
    outage.started = time.monotonic()
    wait_until(lambda: all(each.is_well(outage.started) for each in visitors))
    outage.ended = time.monotonic()
    return outage


def test_pages_that_need_the_database_say_at_once_that_they_cannot(visitors, outage):
    for each in visitors:
        answers = each.of(NEED_DATABASE, outage.stopping)
        assert {answer.status for answer in answers} == {200, 503}
        assert {answer.retry_after for answer in answers if answer.status == 503} == {"2"}
        asked = each.of(NEED_DATABASE, outage.stopped, outage.starting)
        during = [answer for answer in asked if answer.ended < outage.starting]
        assert {answer.status for answer in during} == {503}
        longest = max(answer.seconds for answer in answers)
        figures.info("%s: %d times 503, the longest took %.2f s", each.name, len(during), longest)
        assert longest < PATIENCE


def test_pages_that_need_none_go_on(visitors, outage):
    for each in visitors:
        answers = each.of(NEED_NONE, outage.stopping)
        assert {answer.status for answer in answers} == {200}
        longest = max(answer.seconds for answer in answers)
        figures.info("%s: %d times 200, the longest took %.2f s", each.name, len(answers), longest)
        assert longest < PATIENCE


def test_all_are_back_soon_after_the_server_is(visitors, outage):
    for each in visitors:
        good = [a for a in each.of(NEED_DATABASE, outage.stopped) if a.status == 200]
        first = [
            min(a.ended for a in good if a.page == page and a.ended > outage.started)
            for page in NEED_DATABASE
        ]
        figures.info("%s: back after %.2f s", each.name, max(first) - outage.started)
        assert max(first) - outage.started < 2


def test_the_log_gets_a_line_a_second(visitors, outage):
    for each in visitors:
        lines = each.site.log()[outage.logged[each.name] :].splitlines()
        seconds = outage.ended - outage.stopping
        figures.info("%s: %d lines in %.1f s: %s", each.name, len(lines), seconds, lines[:3])
        assert 1 <= len(lines) <= seconds + 4  # what the driver says may fill three lines
