"""Does rounds of one fault and judges them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.chaos.checker import Findings, check

COLUMNS = ("fault", "rounds", "hits", "jobs", "attempts", "lost", "twice", "overlap", "seconds")


@dataclass
class Outcome:
    """What the rounds of one fault came to.

    Attributes:
        hits: how often the fault met something that it could hurt.
        spent: attempts of each job that count against its retries.
    """

    fault: str
    rounds: int
    hits: int
    jobs: int
    attempts: int
    spent: dict[str, int]
    findings: Findings
    seconds: float

    @property
    def row(self):
        found = self.findings
        return (
            *(self.fault, self.rounds, self.hits, self.jobs, self.attempts),
            *(len(found.lost), len(found.duplicated), len(found.overlapping)),
            f"{self.seconds:.1f}",
        )


def campaign(arena, name, fault, rounds, mutation="", **options):
    """Do the rounds, wait until all is quiet, and check what is there."""
    began = time.monotonic()
    arena.open(name, fault.delivery, mutation)
    hits = sum(fault.round(arena, f"{name}:{number}") for number in range(rounds))
    found = arena.end(**options)
    history = arena.history.of(f"{name}:")
    jobs = found["jobs"]
    given_back = sum(row["given_back"] for row in jobs)
    noted = arena.count(fault.noted, name) if fault.noted else given_back
    return Outcome(
        name,
        rounds,
        hits or noted,
        len(jobs),
        sum(row["attempt"] for row in jobs),
        {row["job"]: row["attempt"] - row["given_back"] for row in jobs},
        check(history, jobs, found["writes"]),
        time.monotonic() - began,
    )


def as_table(outcomes):
    """Return the outcomes as lines of text."""
    rows = [COLUMNS, *(tuple(map(str, outcome.row)) for outcome in outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
