"""Finds what must not be: given the history and the tables, jobs that were lost or done twice.

A job is known by its target, of which each has one. The database is asked when all is quiet; it
gives `jobs`, one row for each run, and `writes`, one for each row that an attempt wrote, with the
attempt and the moment at the earliest. The history gives what processes say they did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

EFFECT = "effect"


@dataclass
class Findings:
    """A sentence for each thing that must not be."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    overlapping: list[str] = field(default_factory=list)

    @property
    def all(self):
        return [*self.lost, *self.duplicated, *self.overlapping]


def check(history, jobs, writes):
    """Judge a history by what is in the database after it."""
    return Findings(
        lost=[*_missing(history, jobs), *_unfinished(jobs), *_without_effect(jobs, writes)],
        duplicated=[
            *_several_runs(jobs),
            *_several_effects(writes),
            *_several_beginnings(history),
            *_steps_run_again(history),
        ],
        overlapping=[*_late_writes(history, writes), *_foreign_results(jobs)],
    )


# Lost


def _missing(history, jobs):
    there = {row["job"] for row in jobs}
    acknowledged = {event["job"] for event in history if event["what"] == "created"}
    return [f"{job} was created and is not there" for job in sorted(acknowledged - there)]


def _unfinished(jobs):
    for row in jobs:
        if row["status"] != "completed":
            yield f"{row['job']} is {row['status']}: {row['error']}"
        elif row["session"] not in (None, "completed"):
            yield f"{row['job']} is completed, its session {row['session']}"


def _without_effect(jobs, writes):
    done = {write["job"] for write in writes if write["name"] == EFFECT}
    for row in jobs:
        if row["status"] == "completed" and row["job"] not in done:
            yield f"{row['job']} is completed without its effect"


# Done twice


def _several_runs(jobs):
    return _counted(Counter(row["job"] for row in jobs), "runs")


def _several_effects(writes):
    effects = (write["job"] for write in writes if write["name"] == EFFECT)
    return _counted(Counter(effects), "effects")


def _several_beginnings(history):
    begun = Counter(
        f"attempt {event['attempt']} of {event['job']}"
        for event in history
        if event["what"] == "begin"
    )
    return _counted(begun, "beginnings")


def _counted(counter, things):
    return [f"{name} has {count} {things}" for name, count in counter.items() if count > 1]


def _steps_run_again(history):
    """A step that was stored is not run by a later attempt; an earlier one may not know of it."""
    stored = {}
    for event in history:
        key = (event["job"], event.get("step"))
        if event["what"] == "stored":
            stored.setdefault(key, event["attempt"])
        elif event["what"] == "ran" and event["attempt"] > stored.get(key, event["attempt"]):
            job, step = key
            yield f"attempt {event['attempt']} of {job} ran {step} again"


# Overlapping


def _late_writes(history, writes):
    beginnings = defaultdict(dict)
    for event in history:
        if event["what"] == "begin":
            beginnings[event["job"]].setdefault(event["attempt"], event["at"])
    for write in writes:
        for attempt, began in beginnings[write["job"]].items():
            if attempt > write["attempt"] and write["at"] > began:
                yield (
                    f"attempt {write['attempt']} of {write['job']} wrote {write['name']} "
                    f"{write['at'] - began:.3f} s after attempt {attempt} began"
                )


def _foreign_results(jobs):
    for row in jobs:
        if row["status"] == "completed" and row["result"] != {"attempt": row["attempt"]}:
            yield f"{row['job']} is in attempt {row['attempt']} and has {row['result']}"
