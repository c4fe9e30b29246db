"""A broker on Redis that loses, repeats and delays messages, as the environment of a process says.

CHAOS_DELIVERY is "once", "twice", "late", or "never": then the process is killed at the moment of
its delivery, which is after the COMMIT and before anybody was told.
"""

from __future__ import annotations

import os
import random
import signal
import time
import uuid

import redis

from session_mgmt.models import Job
from tests.chaos import history

NOW, LATER = "now", "later"
STOP = 0  # in the place of a job's number
LATEST = 1.5  # seconds; more than a redispatch takes


class ChaosEngine:
    """Deliver as the environment says."""

    def deliver(self, job_id, using, *, priority, run_after):
        how = os.environ.get("CHAOS_DELIVERY", "once")
        if how == "never":
            target = Job.objects.using(using).get(pk=job_id).target_id
            history.current().append("created", target)
            os.kill(os.getpid(), signal.SIGKILL)
        client = connect()
        for _ in range(2 if how == "twice" else 1):
            message = f"{job_id}:{uuid.uuid4().hex}"
            delay = random.uniform(0, LATEST) if how == "late" else 0.0
            due = run_after.timestamp() if run_after else time.time()
            if run_after or delay:
                client.zadd(LATER, {message: due + delay})
            else:
                client.rpush(NOW, message)
        return True


def connect():
    """Return this process's connection to the broker."""
    global _client  # one for each process; a fork must not share it
    if _client is None or _client[0] != os.getpid():
        _client = (os.getpid(), redis.Redis(port=int(os.environ["CHAOS_REDIS_PORT"])))
    return _client[1]


_client = None


def take(client):
    """Return the number of a job or STOP, None if there was no message for a moment."""
    for message in client.zrangebyscore(LATER, 0, time.time()):
        if client.zrem(LATER, message):
            client.rpush(NOW, message)
    found = client.blpop(NOW, timeout=0.05)
    return found and int(found[1].partition(b":")[0])


def stop_workers(client, count):
    """Tell so many workers to end when they have done what they do."""
    client.rpush(NOW, *[f"{STOP}:{number}" for number in range(count)])


def lose_all(client):
    """Do FLUSHALL, and return how many messages were lost."""
    with client.pipeline(transaction=True) as both:
        waiting, delayed, _ = both.llen(NOW).zcard(LATER).flushall().execute()
    return waiting + delayed
