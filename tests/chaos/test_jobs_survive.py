"""No job is lost, none has its effect twice and no attempts overlap, whatever is killed (P2).

CHAOS_ROUNDS says how many rounds there are in all; SQLite, which locks its whole file, has a tenth.
"""

import os

import pytest

from tests.chaos.campaign import campaign
from tests.chaos.chaos_faults import FAULTS
from tests.processes import ROOT

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "200"))
SHARES = sum(fault.share for fault in FAULTS.values())


@pytest.mark.parametrize("name", FAULTS)
def test_no_job_is_lost_or_done_twice(name, arena, outcomes):
    fault = FAULTS[name]
    if fault.needs_server and arena.server is None:
        pytest.skip("SQLite has no server, and its file lock makes this slow")
    share = fault.share * ROUNDS / SHARES
    rounds = max(1, round(share if arena.server else share / 10))
    outcome = campaign(arena, name, fault, rounds)
    outcomes.append(outcome)
    assert outcome.findings.all == [], _keep_evidence(arena, name)
    assert outcome.hits > 0, "the fault met nothing that it could hurt"
    if name == "worker_is_told_to_stop":
        assert set(outcome.spent.values()) == {1}


def _keep_evidence(arena, name):
    """Copy the history and the log to where they stay, and say so."""
    kept = ROOT / "var" / f"chaos-{name}.jsonl"
    kept.write_bytes(arena.history.path.read_bytes() + arena.log.read_bytes())
    return f"the history and the log are in {kept}"
