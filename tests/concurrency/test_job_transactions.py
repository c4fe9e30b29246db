"""What a caller's own transaction means for a job, seen by others while it is open (P1)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

from session_mgmt import JobStatus
from session_mgmt.db import run_in_transaction
from session_mgmt.models import Job
from session_mgmt.models.job_request import JobRequest
from tests.concurrency.work import set_isolation

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRES = pytest.mark.skipif(
    "sqlite" in settings.DATABASES["default"]["ENGINE"],
    reason="SQLite has one writer and one isolation level",
)


def create():
    return Job.objects.create_if_not_exists("t", "target")


def create_in_bulk():
    return Job.objects.create_many_if_not_exist([JobRequest("t", "target")])[0]


EITHER = pytest.mark.parametrize("ask", [create, create_in_bulk])


@pytest.fixture
def elsewhere():
    """Start a function in another thread, with a connection of its own; return its future."""

    def call(function):
        try:
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        yield lambda function: pool.submit(call, function)


def is_asked_for(future):
    """Tell whether the answer has not come after a moment."""
    threading.Event().wait(0.3)
    return not future.done()


@EITHER
def test_who_asks_for_a_job_that_is_not_committed_waits_and_gets_it(ask, elsewhere):
    with transaction.atomic():
        job, _ = create()
        other = elsewhere(ask)
        assert is_asked_for(other)
    assert other.result(20) == (job, False)


@EITHER
def test_who_asks_for_a_job_that_is_rolled_back_creates_it(ask, elsewhere):
    with pytest.raises(RuntimeError), transaction.atomic():
        create()
        other = elsewhere(ask)
        assert is_asked_for(other)
        raise RuntimeError
    job, created = other.result(20)
    assert (created, job.run_number, Job.objects.count()) == (True, 1, 1)


@EITHER
def test_a_savepoint_that_is_undone_lets_others_have_the_job(ask, elsewhere):
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            create()
            raise RuntimeError
        if connection.vendor == "postgresql":
            job, created = elsewhere(ask).result(20)
            assert created
            assert ask() == (job, False)
        else:  # the transaction still is the one writer
            assert ask()[1]
    assert Job.objects.count() == 1


@ON_POSTGRES
@EITHER
def test_a_job_that_was_found_stays_as_it_is_until_the_transaction_ends(ask, elsewhere):
    job, _ = create()
    with transaction.atomic():
        assert ask() == (job, False)
        rows = Job.objects.filter(pk=job.pk)
        ended = elsewhere(lambda: rows.update(status=JobStatus.COMPLETED))
        assert is_asked_for(ended)
        job.refresh_from_db()
        assert job.status is JobStatus.PENDING
    assert ended.result(20) == 1


@ON_POSTGRES
@EITHER
def test_outside_of_a_transaction_nothing_stays_locked(ask, elsewhere):
    job, _ = create()
    assert ask() == (job, False)
    assert elsewhere(lambda: Job.objects.filter(pk=job.pk).update(priority=1)).result(20) == 1


@ON_POSTGRES
@EITHER
def test_a_job_that_ends_while_somebody_waits_for_its_lock_is_not_returned(ask, elsewhere):
    first, _ = create()

    def ask_in_transaction():
        with transaction.atomic():
            return ask()

    with transaction.atomic():
        Job.objects.filter(pk=first.pk).update(status=JobStatus.FAILED)
        other = elsewhere(ask_in_transaction)
        assert is_asked_for(other)
    job, created = other.result(20)
    assert (job.run_number, created) == (2, True)


@ON_POSTGRES
@EITHER
@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_lost_race_in_a_higher_transaction_is_an_error_that_its_owner_repeats(
    ask, isolation, elsewhere, settings
):
    settings.SESSION_MGMT = {"RETRY_INITIAL_DELAY": 0}
    connection.close()
    set_isolation(isolation)
    winners = []

    def lose_and_ask():
        assert Job.objects.count() == len(winners)  # what is seen is settled from here on
        if not winners:
            winners.append(elsewhere(create).result(20)[0])
        return ask()

    try:
        with pytest.raises(OperationalError) as caught, transaction.atomic():
            lose_and_ask()
        assert caught.value.__cause__.sqlstate == "40001"
        Job.objects.all().delete()
        winners.clear()
        assert run_in_transaction(lose_and_ask) == (winners[0], False)
        assert Job.objects.count() == 1
    finally:
        connection.close()  # the next test's has the usual level
