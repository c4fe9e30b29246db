import asyncio
import logging
import re

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection, transaction

from session_mgmt.db import db_retry
from session_mgmt.exceptions import CommitOutcomeUnknownError, ConfigurationError
from tests.db.conftest import fail_transiently, lose_connection

pytestmark = pytest.mark.django_db(transaction=True)


class Work:
    """Fails so many times, then succeeds."""

    def __init__(self, failures, fail=fail_transiently):
        self.calls, self.failures, self.fail = 0, failures, fail

    def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            self.fail()
        return "done"


def decorated(work, **arguments):
    @db_retry(**arguments)
    def get_video_by_id():
        return work()

    return get_video_by_id


def test_it_is_usable_bare_and_with_arguments_on_functions_methods_and_coroutines():
    work = Work(3)

    class Repository:
        @db_retry
        def method(self, value):
            """Tell."""
            return work(), value

        @staticmethod
        @db_retry(max_retries=1)
        def static():
            return work()

        @db_retry
        async def coroutine(self):
            return await sync_to_async(work)()

    assert Repository().method("x") == ("done", "x")
    assert work.calls == 4
    assert Repository.method.__doc__ == "Tell."
    assert Repository.method.__wrapped__(Repository(), 1) == ("done", 1)
    work.calls, work.failures = 0, 1
    assert Repository.static() == "done"
    work.calls, work.failures = 0, 2
    assert async_to_sync(Repository().coroutine)() == "done"
    assert work.calls == 3


def test_after_the_last_retry_the_error_itself_comes_out():
    work = Work(9)
    with pytest.raises(OperationalError) as caught:
        decorated(work)()
    assert work.calls == 4
    assert caught.value.__notes__ == ["get_video_by_id was given up after 4 attempts."]


def test_max_retries_0_never_retries():
    work = Work(1)
    with pytest.raises(OperationalError):
        decorated(work, max_retries=0)()
    assert work.calls == 1


def test_each_retry_is_logged_as_seed_002_shows_it(settings, caplog):
    settings.SESSION_MGMT = {"RETRY_MAX_DELAY": 0.02}
    work = Work(2)
    decorated(work, initial_delay=0.01)()
    cause = r"(deadlock detected \[40P01\]|database is locked)"
    first, second = (record.getMessage() for record in caplog.records)
    start = r"Transient database error in get_video_by_id "
    assert re.fullmatch(rf"{start}\(attempt 1/4\): {cause}\. Retrying in 0\.01s\.\.\.", first)
    assert re.fullmatch(rf"{start}\(attempt 2/4\): {cause}\. Retrying in 0\.02s\.\.\.", second)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_waits_grow_by_the_factor_up_to_the_longest(settings, caplog):
    settings.SESSION_MGMT = {}
    work = Work(3)
    decorated(work, initial_delay=0.01, backoff=3.0, max_delay=0.05)()
    waits = [record.args[-1] for record in caplog.records]
    assert waits == pytest.approx([0.01, 0.03, 0.05])


def test_no_retry_starts_after_the_budget(settings):
    settings.SESSION_MGMT = {}
    work = Work(9)
    with pytest.raises(OperationalError):
        decorated(work, initial_delay=0.03, max_retries=50, backoff=1.0, budget=0.1)()
    assert 2 <= work.calls <= 4


@pytest.mark.parametrize(
    "arguments",
    [{"max_retries": -1}, {"initial_delay": -1}, {"backoff": 0.5}, {"budget": float("nan")}],
)
def test_an_argument_out_of_range_is_refused_at_once_by_name(arguments):
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        db_retry(**arguments)


def test_what_cannot_be_repeated_is_refused_when_decorated():
    def generator():
        yield

    with pytest.raises(TypeError, match="generator"):
        db_retry(generator)
    with pytest.raises(TypeError, match="goes below property"):
        db_retry(property(generator))


def test_permanent_errors_are_not_retried():
    def duplicate():
        Group.objects.create(name="one")
        with transaction.atomic():
            Group.objects.create(name="one")

    for fail, error in ((duplicate, IntegrityError), ((lambda: 1 / 0), ZeroDivisionError)):
        work = Work(9, fail)
        with pytest.raises(error):
            decorated(work)()
        assert work.calls == 1


def test_inside_somebodys_transaction_it_is_called_once():
    work = Work(1)
    with pytest.raises(OperationalError), transaction.atomic():
        if connection.vendor == "sqlite":
            work.fail = raise_busy_in_transaction
        decorated(work)()
    assert work.calls == 1


def raise_busy_in_transaction():
    # A transaction is open, so a rival cannot be made to hold the lock that this one has.
    error = OperationalError("database is locked")
    error.sqlite_errorcode = 5
    raise error


def test_nested_decorators_do_not_multiply_the_attempts():
    work = Work(99)
    inner = decorated(work)
    outer_calls = []

    @db_retry
    def outer():
        outer_calls.append(1)
        return inner()

    with pytest.raises(OperationalError):
        outer()
    assert work.calls == 4
    assert len(outer_calls) == 1


def test_a_function_that_has_committed_something_is_not_repeated():
    calls = []

    @db_retry
    def two_transactions():
        calls.append(1)
        with transaction.atomic():
            Group.objects.create(name=f"first {len(calls)}")
        fail_transiently()

    with pytest.raises(OperationalError):
        two_transactions()
    assert len(calls) == 1
    assert Group.objects.count() == 1


def test_a_transaction_that_was_rolled_back_by_the_error_is_repeated():
    calls = []

    @db_retry
    def one_transaction():
        calls.append(1)
        with transaction.atomic():
            Group.objects.create(name="only")
            if len(calls) < 3:
                fail_inside()

    def fail_inside():
        if connection.vendor == "postgresql":
            fail_transiently()
        raise_busy_in_transaction()

    one_transaction()
    assert len(calls) == 3
    assert Group.objects.count() == 1


def test_an_error_of_an_on_commit_hook_does_not_repeat_what_was_committed():
    @db_retry
    def with_hook():
        with transaction.atomic():
            Group.objects.create(name="only")
            transaction.on_commit(fail_transiently)

    with pytest.raises(OperationalError):
        with_hook()
    assert Group.objects.count() == 1


def test_a_connection_lost_while_reading_is_replaced(on_postgresql):
    work = Work(1, lose_connection)
    assert decorated(work)() == "done"
    assert work.calls == 2
    assert Group.objects.count() == 0


def test_a_connection_lost_inside_a_transaction_is_replaced_and_the_work_done_once(on_postgresql):
    calls = []

    @db_retry
    def write():
        calls.append(1)
        with transaction.atomic():
            Group.objects.create(name="only")
            if len(calls) == 1:
                lose_connection()

    write()
    assert len(calls) == 2
    assert Group.objects.count() == 1


def test_a_write_in_autocommit_whose_answer_is_lost_is_unknown(on_postgresql):
    @db_retry
    def write():
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO auth_group (name) SELECT 'x' FROM"
                " (SELECT pg_terminate_backend(pg_backend_pid())) AS t"
            )

    with pytest.raises(CommitOutcomeUnknownError, match="look whether it is there") as caught:
        write()
    assert caught.value.token is None


def test_concurrent_coroutines_are_each_retried():
    works = [Work(2) for _ in range(3)]

    @db_retry
    async def run(work):
        return await sync_to_async(work)()

    async def main():
        return await asyncio.gather(*(run(work) for work in works))

    assert async_to_sync(main)() == ["done"] * 3
    assert [work.calls for work in works] == [3, 3, 3]


def test_a_call_that_succeeds_costs_no_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        decorated(lambda: Group.objects.count())()
