"""What is refused, rolled back or deleted leaves nothing that troubles others."""

import os
import threading
import time

import pytest
from django.db import connection, transaction

from session_mgmt import ObjectNotFoundError, StaleObjectError
from session_mgmt.models import StoredObject
from session_mgmt.objects import OaasObject, OaasService, get_global_oaas, oaas
from tests.objects.counting import new_tally
from tests.objects.obstacles import in_progress


@oaas.service("Leftover", package="tests")
class Leftover(OaasObject):
    count: int = 0
    items: list[int] = []

    @oaas.method(retry_on_conflict=True)
    def lose(self):
        self.count += 1
        theirs = get_global_oaas().new_session()
        theirs.load_object(type(self).__cls_meta__, self.object_id).count += 10
        theirs.commit()

    @oaas.method(retry_on_conflict=True)
    def add(self):
        self.count += 1

    @oaas.method
    def add_in_two_steps(self, begun, go_on):
        self.count += 100
        begun.set()
        assert go_on.wait(30)
        self.count += 100


def new_leftover():
    leftover = Leftover.create()
    leftover.session.commit()
    return leftover


def test_a_method_that_gave_up_on_an_object_that_nobody_uses_troubles_no_later_commit(
    by_hand, settings
):
    settings.SESSION_MGMT = {"RETRY_BUDGET": 0.05}
    kept, leftover = new_tally(), new_leftover()
    with pytest.raises(StaleObjectError):
        leftover.lose()
    del leftover
    kept.increment()
    kept.session.commit()
    assert StoredObject.objects.of_class("tests.Tally").get().state["count"] == 1


def test_a_method_is_not_repeated_for_an_object_whose_creation_was_rolled_back(by_hand, settings):
    settings.SESSION_MGMT = {"RETRY_BUDGET": 60}
    with transaction.atomic():
        leftover = new_leftover()
        transaction.set_rollback(True)
    began = time.monotonic()
    with pytest.raises(StaleObjectError):
        leftover.add()
    assert time.monotonic() - began < 30


def test_commit_all_writes_no_half_of_a_method_that_another_thread_runs_on_an_object_of_ones_own(
    by_hand,
):
    leftover = new_leftover()
    with in_progress(leftover.add_in_two_steps):
        OaasService.commit_all()
        assert StoredObject.objects.get().state["count"] == 0
    OaasService.commit_all()
    assert StoredObject.objects.get().state["count"] == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_see_what_its_parent_has_deleted_and_not_committed(in_background):
    leftover = new_leftover()
    OaasService.cleanup_session()
    leftover = Leftover.load(leftover.object_id)
    with OaasService.session_scope():
        leftover.delete()
        child = os.fork()
        if child == 0:
            os._exit(int(bool(leftover.session.delete_obj_set)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_commit_all_in_a_transaction_leaves_the_sessions_of_other_threads_free(by_hand):
    others = []
    thread = threading.Thread(target=lambda: others.append(Leftover.create()))
    thread.start()
    thread.join()
    began = time.monotonic()
    with transaction.atomic():
        new_leftover()
        OaasService.commit_all()
        transaction.set_rollback(True)
    assert time.monotonic() - began < 20  # the only writer of SQLite does not wait for itself
    written = 1 if connection.vendor == "postgresql" else 0
    assert StoredObject.objects.count() == written
    OaasService.commit_all()
    assert StoredObject.objects.get().object_id == others[0].object_id


def test_a_deleted_object_can_be_read_and_not_changed_before_and_after_the_commit(store):
    leftover = new_leftover()
    leftover.delete()
    for _ in range(2):
        assert (leftover.count, leftover.items) == (0, [])
        with pytest.raises(ObjectNotFoundError):
            leftover.count = 1
        leftover.session.commit()
