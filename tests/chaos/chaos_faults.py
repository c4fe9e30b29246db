"""What is done to jobs: each fault is a round that asks for jobs and hurts those who do them.

A round does not wait until its jobs are done; the next one comes upon what it left. It returns how
often its fault hit something.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.broker import lose_all
from tests.chaos.settings import LEASE
from tests.faults.servers import gone
from tests.processes import wait_until

LONG = {"steps": 4, "pause": 0.02}  # a job that is under way for a while


@dataclass(frozen=True)
class Fault:
    """One way to hurt.

    Attributes:
        round: takes the arena and the name of the round.
        share: how many of 200 rounds.
        delivery: how the broker delivers meanwhile.
        noted: what the history says when the fault hit; None where the round itself can tell.
        needs_server: whether SQLite cannot do this.
    """

    round: Callable[[object, str], int]
    share: int
    delivery: str = "once"
    noted: str | None = None
    needs_server: bool = True


def names(name, count):
    return [f"{name}:{number}" for number in range(count)]


def broker_loses_all(arena, name):
    """FLUSHALL while messages wait; some of the jobs fail at first, and are dispatched again.

    Each loss doubles the time until a job is sent again, so there are not many for one job.
    """
    if name.endswith(("0", "5")):
        arena.settle()
    arena.ask(names(f"{name}:b", 2), fails=True)
    arena.ask(names(f"{name}:a", 8), pause=0.02)
    return lose_all(arena.broker)


def worker_is_killed(arena, name):
    """Kill -9 at any moment of an attempt."""
    jobs = names(name, 3)
    arena.ask(jobs, has_session=True, **LONG)
    event = arena.wait_for("begin", jobs)
    arena.pause(0.15)
    arena.kill(event["pid"])
    return (event["job"], event["attempt"]) in arena.under_way(jobs)


def worker_dies_at_a_point(arena, name):
    """Kill -9 just after the claim, after a step, after the effect, and before the end."""
    deaths = {f"{name}:{point}": point for point in ("claim", "step", "effect", "end")}
    arena.ask([*deaths], deaths=deaths, has_session=True)
    arena.wait_for("dying", deaths)
    return 0


def web_is_killed(arena, name):
    """Kill -9 between COMMIT and dispatch, or at any moment; half of the requests come again."""
    jobs = names(name, 4)
    arena.ask(jobs[:1], delivery="never")
    pid = arena.ask(jobs[1:], wait=False, has_session=True)
    arena.wait_for("asked", jobs[1:])
    arena.pause(0.04)
    hit = arena.kill(pid)
    arena.ask(jobs[1::2])
    return 1 + hit


def database_is_killed(arena, name):
    """Kill -9 of PostgreSQL while jobs run and while jobs are asked for, which is done again.

    Every third time it is away for longer than a lease.
    """
    running, asked = names(f"{name}:run", 3), names(f"{name}:ask", 8)
    arena.ask(running, has_session=True, **LONG)
    arena.wait_for("begin", running)
    web = arena.ask(asked, wait=False)
    arena.wait_for("asked", asked)
    arena.pause(0.1)
    arena.server.kill()
    hits = len(arena.under_way(running))
    time.sleep(LEASE if name.endswith(("0", "3", "6")) else 0.0)
    arena.server.start()
    wait_until(lambda: gone(web))
    arena.ask(asked)
    return hits


def messages_come_twice(arena, name):
    arena.ask(names(name, 4))
    return 0


def messages_come_late(arena, name):
    """So late that others have been sent in their place, and in another order."""
    arena.ask(names(name, 4), fails=True)
    return 0


def worker_is_told_to_stop(arena, name):
    """SIGTERM in the middle; the jobs have no second attempt to spend."""
    jobs = names(name, 3)
    arena.ask(jobs, max_retries=0, has_session=True, **LONG)
    event = arena.wait_for("begin", jobs)
    arena.pause(0.1)
    arena.kill(event["pid"], signal.SIGTERM)
    return 0


def worker_sleeps(arena, name):
    """SIGSTOP for longer than the lease, then SIGCONT: a zombie that wakes up."""
    jobs = names(name, 2)
    arena.ask(jobs, has_session=True, **LONG)
    event = arena.wait_for("begin", jobs)
    arena.pause(0.1)
    if gone(event["pid"]):
        return 0
    arena.put_to_sleep(event["pid"])
    return 0


def worker_sleeps_in_a_transaction(arena, name):
    """The same after the fence and before the COMMIT, while it keeps its job locked."""
    jobs = names(name, 1)
    arena.ask(jobs, steps=0, pause=0.15)
    event = arena.wait_for("ran", jobs)
    arena.put_to_sleep(event["pid"])
    return not arena.count("stored", name)


FAULTS = {
    fault.round.__name__: fault
    for fault in (
        Fault(broker_loses_all, 25, needs_server=False),
        Fault(worker_is_killed, 30, needs_server=False),
        Fault(worker_dies_at_a_point, 25, noted="dying"),
        Fault(web_is_killed, 25),
        Fault(database_is_killed, 15),
        Fault(messages_come_twice, 20, delivery="twice", noted="refused", needs_server=False),
        Fault(messages_come_late, 20, delivery="late", noted="refused", needs_server=False),
        Fault(worker_is_told_to_stop, 20),
        Fault(worker_sleeps, 12, noted="fenced out"),
        Fault(worker_sleeps_in_a_transaction, 8),
    )
}
