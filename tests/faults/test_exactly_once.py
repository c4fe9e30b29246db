"""A COMMIT whose answer is cut off: repeated exactly once with a token, never without one."""

import threading
from collections import Counter
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import connections

from session_mgmt.db import db_retry, get_db_session, run_in_transaction
from session_mgmt.exceptions import AlreadyCommittedError, CommitOutcomeUnknownError
from session_mgmt.models import CommitToken
from tests.faults.proxy import Cut, at_random, next_ones, nothing
from tests.faults.servers import ON_POSTGRES, atomic, run

pytestmark = ON_POSTGRES

THREADS, EACH = 4, 250
DEED = "INSERT INTO deed VALUES (%s)"


@pytest.fixture(autouse=True)
def no_waits(settings):
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0, "RETRY_MAX_RETRIES": 20}


@pytest.fixture
def deeds(server, proxied):
    """Returns how often each deed was done."""
    server.execute("DROP TABLE IF EXISTS deed")
    server.execute("CREATE TABLE deed (number integer)")
    server.execute(f"DROP TABLE IF EXISTS {CommitToken._meta.db_table}")
    with connections[proxied].schema_editor() as editor:
        editor.create_model(CommitToken)
    return lambda: Counter(number for (number,) in server.execute("SELECT number FROM deed"))


def do(alias, number):
    run(connections[alias], DEED, number)
    return number


@contextmanager
def threads_of(function, alias):
    """Run `function(number)` for all numbers in some threads, and yield what each came to."""
    outcomes = {}

    def work(first):
        try:
            for number in range(first, first + EACH):
                try:
                    outcomes[number] = function(number)
                except CommitOutcomeUnknownError as error:
                    outcomes[number] = error
        finally:
            connections[alias].close()

    threads = [threading.Thread(target=work, args=[n * EACH]) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield outcomes


def test_a_thousand_deeds_with_tokens_are_each_done_once(proxy, proxied, deeds):
    proxy.plan = at_random(seed=7, request=0.1, reply=0.1)

    def once(number):
        return run_in_transaction(partial(do, proxied, number), f"deed {number}", using=proxied)

    with threads_of(once, proxied) as outcomes:
        proxy.plan = nothing
    assert proxy.counts["cut_reply"] > 50
    assert proxy.counts["cut_request"] > 50
    assert outcomes == {number: number for number in range(THREADS * EACH)}
    assert deeds() == dict.fromkeys(outcomes, 1)


def test_a_thousand_deeds_without_tokens_are_done_at_most_once_and_say_so(proxy, proxied, deeds):
    proxy.plan = at_random(seed=8, request=0.1, reply=0.1)

    def at_most_once(number):
        return run_in_transaction(partial(do, proxied, number), using=proxied)

    with threads_of(at_most_once, proxied) as outcomes:
        proxy.plan = nothing
    done = deeds()
    known = {number for number, outcome in outcomes.items() if outcome == number}
    unknown = outcomes.keys() - known
    assert len(outcomes) == THREADS * EACH
    assert len(unknown) == proxy.counts["cut_reply"] + proxy.counts["cut_request"] > 100
    assert max(done.values()) == 1
    assert known <= done.keys()
    assert len(done.keys() & unknown) == proxy.counts["cut_reply"]


def test_a_call_that_could_not_learn_the_outcome_is_repeated_safely(proxy, proxied, deeds):
    deed = partial(run_in_transaction, partial(do, proxied, 1), "deed", using=proxied)
    proxy.plan = next_ones(Cut.REPLY)
    connections[proxied].ensure_connection()
    with proxy.refusing(), pytest.raises(CommitOutcomeUnknownError, match="deed") as caught:
        deed()
    assert caught.value.token == "deed"
    with pytest.raises(AlreadyCommittedError):
        deed()
    assert deeds() == {1: 1}


@pytest.mark.parametrize("cut", Cut)
def test_a_session_says_that_the_outcome_is_unknown(proxy, proxied, deeds, cut):
    proxy.plan = next_ones(cut)
    with pytest.raises(CommitOutcomeUnknownError), get_db_session(proxied) as session:
        do(session.alias, 1)
    assert deeds() == ({1: 1} if cut is Cut.REPLY else {})


@pytest.mark.parametrize("cut", Cut)
def test_db_retry_does_not_repeat_a_transaction_whose_commit_was_lost(proxy, proxied, deeds, cut):
    calls = []

    @db_retry
    def deed():
        calls.append(1)
        with atomic(connections[proxied]):
            do(proxied, 1)

    proxy.plan = next_ones(cut)
    with pytest.raises(CommitOutcomeUnknownError):
        deed()
    assert len(calls) == 1
    assert deeds() == ({1: 1} if cut is Cut.REPLY else {})


def test_db_retry_repeats_a_transaction_that_only_read(proxy, proxied, deeds):
    calls = []

    @db_retry
    def look():
        calls.append(1)
        with atomic(connections[proxied]):
            return run(connections[proxied], "SELECT 5")

    proxy.plan = next_ones(Cut.REPLY)
    assert look() == (5,)
    assert len(calls) == 2
