"""What is committed is stored, what is not is not, and nobody overwrites what he has not seen."""

import pytest
from django.db import connection, transaction

from session_mgmt import ObjectNotFoundError, StaleObjectError
from session_mgmt.db import run_in_transaction
from session_mgmt.models import StoredObject
from session_mgmt.objects import OaasObject, OaasService, Oparaca, get_global_oaas, oaas
from tests.db.conftest import fail_transiently


@oaas.service("CommitCounter", package="tests")
class Counter(OaasObject):
    count: int = 0
    names: list[str] = []

    @oaas.method
    def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count


def stored(obj):
    """Return the state that a session of its own reads."""
    session = get_global_oaas().new_session(obj.partition_id)
    found = session.load_object(type(obj).__cls_meta__, obj.object_id)
    return {"count": found.count, "names": found.names}


def other(obj):
    """Return another copy of an object, in a session of its own."""
    session = get_global_oaas().new_session(obj.partition_id)
    return session.load_object(type(obj).__cls_meta__, obj.object_id)


@pytest.fixture
def counter(store):
    counter = Counter.create()
    counter.session.commit()
    return counter


def test_a_new_object_is_stored_with_its_defaults_by_the_commit_and_not_before(by_hand):
    counter = Counter.create()
    assert not StoredObject.objects.exists()
    counter.session.commit()
    row = StoredObject.objects.get()
    assert (row.class_name, row.object_id) == ("tests.CommitCounter", counter.object_id)
    assert row.state == {"count": 0, "names": []}


def test_changes_are_stored_by_the_commit_and_not_before(counter):
    counter.increment()
    counter.names.append("Anna")
    assert stored(counter) == {"count": 0, "names": []}
    counter.session.commit()
    assert stored(counter) == {"count": 1, "names": ["Anna"]}


def test_a_commit_without_changes_asks_the_database_nothing(by_hand, django_assert_num_queries):
    counter = Counter.create()
    counter.session.commit()
    assert counter.names == []
    with django_assert_num_queries(0):
        counter.session.commit()


@pytest.mark.parametrize("number", [1, 1_000])
def test_any_number_of_changed_objects_takes_one_statement(
    by_hand, django_assert_num_queries, number
):
    counters = [Counter.create() for _ in range(number)]
    with django_assert_num_queries(3):  # BEGIN and COMMIT are two of them
        OaasService.get_session().commit()
    for counter in counters:
        counter.increment()
    with django_assert_num_queries(3):
        OaasService.get_session().commit()
    assert {row.state["count"] for row in StoredObject.objects.all()} == {1}


def test_a_thousand_objects_are_loaded_by_one_query_in_the_order_of_their_ids(
    by_hand, django_assert_num_queries
):
    ids = [Counter.create().object_id for _ in range(1_000)][::-1]
    OaasService.get_session().commit()
    OaasService.cleanup_session()
    with django_assert_num_queries(1):
        loaded = Counter.load_many(ids)
    assert [counter.object_id for counter in loaded] == ids


def test_the_second_of_two_that_changed_an_object_is_told_and_nothing_is_overwritten(counter):
    theirs = other(counter)
    theirs.count = 5
    theirs.session.commit()
    counter.increment()
    with pytest.raises(StaleObjectError) as caught:
        counter.session.commit()
    assert caught.value.objects == (("tests.CommitCounter", counter.object_id),)
    assert stored(counter)["count"] == 5
    assert counter.is_stale


def test_nothing_of_a_commit_is_written_if_one_of_its_objects_was_changed_by_others(counter):
    theirs = other(counter)
    theirs.count = 5
    theirs.session.commit()
    innocent = Counter.create()
    counter.increment()
    with pytest.raises(StaleObjectError):
        counter.session.commit()
    with pytest.raises(StaleObjectError):
        counter.session.commit()
    counter.refresh()
    counter.increment()
    counter.session.commit()
    assert stored(counter)["count"] == 6
    assert stored(innocent)["count"] == 0


def test_a_stale_object_takes_no_more_changes_before_it_is_loaded_again(counter):
    theirs = other(counter)
    theirs.count = 5
    theirs.session.commit()
    counter.increment()
    with pytest.raises(StaleObjectError):
        counter.session.commit()
    with pytest.raises(StaleObjectError):
        counter.count = 3
    assert Counter.load(counter.object_id) is counter
    assert counter.increment() == 6


def test_an_id_that_somebody_else_has_taken_is_refused_by_the_commit(counter):
    engine = get_global_oaas()
    double = engine.new_session().create_object(Counter.__cls_meta__, counter.object_id)
    with pytest.raises(StaleObjectError):
        double.session.commit()
    assert stored(counter)["count"] == 0


def test_a_deleted_object_is_gone_and_takes_no_changes(by_hand):
    counter = Counter.create()
    counter.session.commit()
    counter.delete()
    assert StoredObject.objects.exists()
    counter.session.commit()
    assert not StoredObject.objects.exists()
    with pytest.raises(ObjectNotFoundError, match="CommitCounter"):
        counter.count = 1
    with pytest.raises(ObjectNotFoundError):
        Counter.load(counter.object_id)


def test_deleting_what_somebody_else_has_changed_is_refused(counter):
    theirs = other(counter)
    theirs.increment()
    theirs.session.commit()
    counter.delete()
    with pytest.raises(StaleObjectError):
        counter.session.commit()
    assert stored(counter)["count"] == 1


def test_changing_what_somebody_else_has_deleted_is_refused(by_hand):
    counter = Counter.create()
    counter.session.commit()
    theirs = other(counter)
    theirs.delete()
    theirs.session.commit()
    counter.increment()
    with pytest.raises(StaleObjectError):
        counter.session.commit()
    assert not StoredObject.objects.exists()
    with pytest.raises(ObjectNotFoundError):
        counter.refresh()


def test_an_object_that_is_deleted_before_it_was_stored_leaves_nothing(by_hand):
    Counter.create().delete()
    OaasService.get_session().commit()
    assert not StoredObject.objects.exists()


def test_a_commit_is_a_part_of_the_callers_transaction(by_hand):
    counter = Counter.create()
    with transaction.atomic():
        counter.session.commit()
        assert StoredObject.objects.exists()
        transaction.set_rollback(True)
    assert not StoredObject.objects.exists()
    with pytest.raises(StaleObjectError):
        counter.increment()
    with pytest.raises(ObjectNotFoundError):
        counter.refresh()


def test_what_was_written_in_a_transaction_that_was_rolled_back_is_refused_until_a_refresh(by_hand):
    counter = Counter.create()
    counter.session.commit()
    with transaction.atomic():
        counter.increment()
        counter.session.commit()
        counter.increment()
        transaction.set_rollback(True)
    with pytest.raises(StaleObjectError, match="rolled back"):
        counter.session.commit()
    counter.refresh()
    assert counter.increment() == 1
    counter.session.commit()
    assert stored(counter)["count"] == 1


def test_a_rollback_to_a_savepoint_takes_back_what_was_written_in_it(by_hand):
    counter = Counter.create()
    counter.session.commit()
    with transaction.atomic():
        with transaction.atomic():
            counter.increment()
            counter.session.commit()
            transaction.set_rollback(True)
        assert Counter.load(counter.object_id).increment() == 1
        counter.session.commit()
        counter.increment()
        counter.session.commit()
    assert stored(counter)["count"] == 2


def test_what_nobody_uses_any_more_after_a_rollback_troubles_nobody(by_hand):
    kept = Counter.create()
    kept.session.commit()
    with transaction.atomic():
        counter = Counter.create()
        counter.session.commit()
        counter.increment()
        transaction.set_rollback(True)
    del counter
    kept.increment()
    kept.session.commit()
    assert [row.state["count"] for row in StoredObject.objects.all()] == [1]


def test_a_transaction_that_is_run_again_loads_and_writes_again(by_hand):
    number = Counter.create().object_id
    OaasService.get_session().commit()
    attempts = []

    def work():
        Counter.load(number).increment()
        OaasService.get_session().commit()
        attempts.append(1)
        if len(attempts) < 3:
            fail_transiently()

    run_in_transaction(work)
    assert stored(Counter.load(number))["count"] == 1


def test_what_was_read_in_a_transaction_that_was_rolled_back_overwrites_nothing(by_hand):
    counter = Counter.create()
    counter.session.commit()
    with transaction.atomic():
        ghost = other(counter)
        ghost.count = 100
        ghost.session.commit()
        seen = other(counter)
        assert seen.count == 100
        transaction.set_rollback(True)
    counter.count = 7
    counter.session.commit()  # it has the version that the ghost had
    seen.count += 1
    with pytest.raises(StaleObjectError):
        seen.session.commit()
    assert stored(counter)["count"] == 7


def test_a_scope_commits_at_its_end(counter):
    with OaasService.session_scope() as session:
        assert session is OaasService.get_session()
        made = Counter.create()
        made.increment()
        counter.increment()
        assert stored(counter)["count"] == 0
    assert (stored(made)["count"], stored(counter)["count"]) == (1, 1)


def test_a_scope_that_fails_takes_everything_back(counter):
    counter.names.append("before")
    with pytest.raises(ZeroDivisionError), OaasService.session_scope():
        made = Counter.create()
        counter.increment()
        counter.names.append("inside")
        1 / 0  # noqa: B018
    assert (counter.count, counter.names) == (0, ["before"])
    counter.session.commit()
    assert stored(counter) == {"count": 0, "names": ["before"]}
    with pytest.raises(ObjectNotFoundError):
        made.increment()


def test_a_scope_that_loses_a_race_takes_everything_back_and_can_be_repeated(counter):
    theirs = other(counter)
    theirs.count = 5
    theirs.session.commit()
    with pytest.raises(StaleObjectError), OaasService.session_scope():
        counter.increment()
    assert counter.count == 0
    with OaasService.session_scope():
        assert Counter.load(counter.object_id).increment() == 6
    assert stored(counter)["count"] == 6


def test_only_the_outermost_scope_commits(counter):
    with pytest.raises(ZeroDivisionError), OaasService.session_scope():
        with OaasService.session_scope():
            counter.increment()
        assert stored(counter)["count"] == 0
        1 / 0  # noqa: B018
    assert counter.count == 0


def test_an_inner_scope_that_fails_takes_back_its_own_changes_alone(counter):
    with OaasService.session_scope():
        counter.increment()
        with pytest.raises(ZeroDivisionError), OaasService.session_scope():
            counter.increment()
            1 / 0  # noqa: B018
    assert stored(counter)["count"] == 1


def test_a_commit_inside_of_a_scope_makes_final_what_was_done_so_far(counter):
    with pytest.raises(ZeroDivisionError), OaasService.session_scope() as session:
        counter.increment()
        session.commit()
        counter.increment()
        1 / 0  # noqa: B018
    assert counter.count == stored(counter)["count"] == 1
    counter.increment()
    counter.session.commit()
    assert stored(counter)["count"] == 2


def test_loading_reads_what_others_have_committed_and_keeps_own_changes(counter):
    theirs = other(counter)
    theirs.increment(5)
    theirs.session.commit()
    assert Counter.load(counter.object_id) is counter
    assert counter.count == 5
    counter.increment()
    assert Counter.load(counter.object_id).count == 6


def test_engines_in_memory_know_nothing_of_each_other():
    first, second = Oparaca(mock_mode=True), Oparaca(mock_mode=True)
    session = first.new_session()
    counter = session.create_object(Counter.__cls_meta__, 1)
    counter.increment()
    session.commit()
    assert second.new_session().load_object(Counter.__cls_meta__, 1).count == 0


def test_a_repeated_write_of_the_same_copy_changes_nothing(by_hand):
    counter = Counter.create()
    counter.session.commit()
    counter.increment()
    (pending,) = counter.session._unit.prepare()
    for _ in range(2):  # as after a COMMIT without an answer
        done = get_global_oaas().store.apply("default", [pending.change], wait=True)
        assert done == {pending.change.key}
    assert StoredObject.objects.get().state["count"] == 1


def test_a_write_that_comes_late_does_not_replace_a_newer_one_of_the_same_copy(by_hand):
    counter = Counter.create()
    counter.session.commit()
    counter.increment()
    (late,) = counter.session._unit.prepare()
    counter.increment()
    counter.session.commit()
    assert get_global_oaas().store.apply("default", [late.change], wait=True) == set()
    assert StoredObject.objects.get().state["count"] == 2
    assert connection.in_atomic_block is False
