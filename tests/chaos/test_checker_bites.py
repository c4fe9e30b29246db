"""A library that is broken on purpose does not pass: the rounds and the checker can see it."""

from tests.chaos.campaign import campaign
from tests.chaos.chaos_faults import FAULTS
from tests.faults.servers import ON_POSTGRES

pytestmark = ON_POSTGRES


def findings(arena, mutation, fault, rounds, **options):
    name = f"{mutation}:{fault}"
    return campaign(arena, name, FAULTS[fault], rounds, mutation=mutation, **options).findings


def test_without_the_fence_a_zombie_is_seen_to_write(arena):
    found = findings(arena, "no_fence", "worker_sleeps", 6)
    assert found.overlapping


def test_a_fence_that_looks_first_is_seen_to_let_a_zombie_write(arena):
    found = findings(arena, "fence_by_looking_first", "worker_sleeps_in_a_transaction", 3)
    assert found.overlapping


def test_a_claim_that_looks_first_is_seen_to_let_two_in(arena):
    found = findings(arena, "claim_by_looking_first", "messages_come_twice", 12)
    assert any("2 beginnings" in finding for finding in found.duplicated)


def test_without_a_rescue_jobs_are_seen_to_be_lost(arena):
    found = findings(arena, "no_rescue", "broker_loses_all", 2, patience=3)
    assert found.lost
    assert found.all == found.lost


def test_a_dispatch_before_the_commit_is_seen_to_promise_what_is_not_there(arena):
    found = findings(arena, "dispatch_before_commit", "web_is_killed", 2)
    assert len(found.lost) == 2


def test_steps_that_are_forgotten_are_seen_to_be_done_twice(arena):
    found = findings(arena, "forgotten_steps", "worker_dies_at_a_point", 2)
    assert any("ran 0 again" in finding for finding in found.duplicated)
