import threading
from contextlib import suppress

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from session_mgmt.db import run_in_transaction
from session_mgmt.exceptions import AlreadyCommittedError, InvalidInputError
from session_mgmt.models import CommitToken
from tests.db.conftest import fail_transiently, lose_connection

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_the_function_returns_is_committed():
    group = run_in_transaction(lambda: Group.objects.create(name="g"))
    assert Group.objects.get() == group
    assert not connection.in_atomic_block


def test_an_error_takes_everything_back_and_comes_out():
    def fail():
        Group.objects.create(name="g")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_in_transaction(fail)
    assert not Group.objects.exists()


def test_a_transient_error_runs_the_whole_function_again(on_postgresql):
    calls = []

    def work():
        calls.append(1)
        Group.objects.create(name="g")
        if len(calls) < 3:
            (fail_transiently if len(calls) == 1 else lose_connection)()

    run_in_transaction(work)
    assert len(calls) == 3
    assert Group.objects.count() == 1


def test_a_swallowed_database_error_is_not_taken_for_success(on_postgresql):
    def swallow():
        Group.objects.create(name="kept?")
        with suppress(IntegrityError):
            Group.objects.create(name="kept?")

    with pytest.raises(TransactionManagementError, match="swallowed"):
        run_in_transaction(swallow)
    assert not Group.objects.exists()


def test_inside_a_transaction_it_runs_once_in_a_savepoint():
    calls = []

    def work():
        calls.append(1)
        Group.objects.create(name="inner")
        raise OperationalError("transient or not")

    with transaction.atomic():
        Group.objects.create(name="outer")
        with pytest.raises(OperationalError):
            run_in_transaction(work)
    assert len(calls) == 1
    assert Group.objects.get().name == "outer"


def test_a_hook_that_fails_after_the_commit_repeats_nothing():
    def work():
        Group.objects.create(name="g")
        transaction.on_commit(fail_transiently)

    with pytest.raises(OperationalError):
        run_in_transaction(work)
    assert Group.objects.count() == 1


def test_work_with_a_token_is_committed_once_whoever_calls():
    run_in_transaction(lambda: Group.objects.create(name="first"), token="order-7")
    with pytest.raises(AlreadyCommittedError, match="order-7") as caught:
        run_in_transaction(lambda: Group.objects.create(name="second"), token="order-7")
    assert caught.value.token == "order-7"
    assert Group.objects.get().name == "first"
    assert CommitToken.objects.get().pk == "order-7"


def test_work_with_a_token_that_failed_may_be_called_again():
    with pytest.raises(ZeroDivisionError):
        run_in_transaction(lambda: 1 / 0, token="order-7")
    assert run_in_transaction(lambda: 5, token="order-7") == 5


def test_threads_with_one_token_commit_once():
    outcomes = []
    barrier = threading.Barrier(4)

    def call():
        barrier.wait()
        try:
            run_in_transaction(lambda: Group.objects.create(name="g"), token="t")
            outcomes.append("done")
        except AlreadyCommittedError:
            outcomes.append("before")
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["before"] * 3 + ["done"]
    assert Group.objects.count() == 1


@pytest.mark.parametrize("token", ["", "x" * 201, "a\x00b"])
def test_a_token_that_cannot_be_stored_is_refused(token):
    with pytest.raises(InvalidInputError, match="token"):
        run_in_transaction(lambda: 1, token=token)


def test_a_coroutine_function_is_refused():
    async def work():
        pass

    with pytest.raises(TypeError, match="sync_to_async"):
        run_in_transaction(work)
