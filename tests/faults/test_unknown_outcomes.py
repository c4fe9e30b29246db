"""What others do not know, and what a server that answers means, must not be misread."""

from contextlib import ExitStack

import pytest
from django.db import OperationalError, connections, transaction

from session_mgmt.db import Fault, classify, db_retry, outage, run_in_transaction
from session_mgmt.db.outage import connecting, found_away
from session_mgmt.exceptions import CommitOutcomeUnknownError
from session_mgmt.models import CommitToken
from tests.faults.proxy import Cut, next_ones
from tests.faults.servers import MAX_CONNECTIONS, ON_POSTGRES, WRITE, run

pytestmark = [ON_POSTGRES, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def no_waits(settings, monkeypatch):
    monkeypatch.setattr(outage, "_away_until", {})  # other tests need not wait until it is over
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0}


def test_an_unknown_outcome_stays_unknown_however_it_is_wrapped():
    error = CommitOutcomeUnknownError()
    error.__cause__ = OperationalError("lost")
    assert classify(error) is Fault.AMBIGUOUS_COMMIT


def test_the_unknown_commit_of_an_inner_unit_is_not_repeated_by_an_outer_one(
    server, proxy, proxied
):
    def inner():
        run(connections[proxied], WRITE, 1)

    def outer():
        run_in_transaction(inner, using=proxied)

    proxy.plan = next_ones(Cut.REPLY)
    with pytest.raises(CommitOutcomeUnknownError):
        run_in_transaction(outer, token="outer")
    proxy.plan = next_ones(Cut.REPLY)
    with pytest.raises(CommitOutcomeUnknownError):
        db_retry(outer)()
    assert server.numbers()[1] == 2


def test_the_hooks_of_a_commit_that_was_not_answered_run_when_it_is_found(server, proxy, proxied):
    server.execute(f"DROP TABLE IF EXISTS {CommitToken._meta.db_table}")
    with connections[proxied].schema_editor() as editor:
        editor.create_model(CommitToken)
    ran = []

    def work():
        run(connections[proxied], WRITE, 1)
        transaction.on_commit(lambda: ran.append("mail"), using=proxied)
        return "done"

    proxy.plan = next_ones(Cut.REPLY)
    assert run_in_transaction(work, token="t", using=proxied) == "done"
    assert server.numbers()[1] == 1
    assert ran == ["mail"]


def test_a_server_that_is_full_is_not_away(server, faulty):
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(server.connect())
        with (
            pytest.raises(OperationalError, match="too many"),
            connecting(connections[faulty]),
        ):
            connections[faulty].ensure_connection()
    assert not found_away()


def test_a_server_that_is_stopped_is_away_until_it_is_back(server, faulty):
    server.stop()
    with pytest.raises(OperationalError), connecting(connections[faulty]):
        connections[faulty].ensure_connection()
    assert found_away()
    with pytest.raises(OperationalError, match="does not answer"), connecting(connections[faulty]):
        pytest.fail("refused at once")
