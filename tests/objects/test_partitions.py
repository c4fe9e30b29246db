"""Partitions are namespaces: of ids, of sessions, and of databases where a router says so."""

import json
import subprocess
import sys

import pytest

from session_mgmt import InvalidInputError, ObjectNotFoundError
from session_mgmt.objects import OaasObject, OaasService, oaas
from tests.processes import ROOT, environment


@oaas.service("PartitionedCounter", package="tests")
class Counter(OaasObject):
    count: int = 0


def test_the_same_id_in_two_partitions_is_two_objects(store):
    for partition in (0, 1):
        Counter.create(5, partition_id=partition).count = partition + 1
    OaasService.commit_all()
    OaasService.cleanup_session()
    counts = [Counter.load(5, partition_id=partition).count for partition in (0, 1)]
    assert counts == [1, 2]


def test_a_session_belongs_to_one_partition(store):
    first, second = OaasService.get_session(1), OaasService.get_session(2)
    assert first is not second
    assert (first.partition_id, second.partition_id) == (1, 2)
    assert OaasService.get_session() is OaasService.get_session(0)
    with pytest.raises(InvalidInputError, match="partition_id"):
        first.delete_object(Counter.__cls_meta__, 5, partition_id=2)


def test_a_scope_commits_its_partition_alone(by_hand):
    other = Counter.create(5, partition_id=2)
    with OaasService.session_scope(1):
        Counter.create(5, partition_id=1)
    assert Counter.load_many([5], partition_id=1)[0].session.partition_id == 1
    OaasService.cleanup_session()
    other.session.commit()
    assert Counter.load(5, partition_id=2).count == 0


def test_an_object_is_not_found_in_another_partition(by_hand):
    counter = Counter.create(partition_id=1)
    counter.session.commit()
    with pytest.raises(ObjectNotFoundError, match="partition 2"):
        Counter.load(counter.object_id, partition_id=2)


@pytest.mark.parametrize("partition", [2**63, -(2**63) - 1, "1", 1.0, True])
def test_what_is_no_partition_is_refused_by_name(store, partition):
    with pytest.raises(InvalidInputError, match="partition_id"):
        OaasService.get_session(partition)


@pytest.mark.django_db(transaction=True)
def test_a_router_gives_partitions_a_database_of_their_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.objects.partitioned", str(tmp_path / "second.sqlite3")],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "default": [[0, "in 0"], [7, "in 7"]],
        "second": [[100, "in 100"], [101, "in 101, changed"]],
    }
