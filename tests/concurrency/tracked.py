"""What the processes of the tests of tracking do.

`python -m tests.concurrency.tracked PROGRAM ARGUMENTS` runs one of the functions at the end.
"""

import os
import random
import sys
import threading
import time

from tests.processes import started_at


def write_in_any_order(ids, number, rounds):
    """Write progress for all the sessions at once, again and again, each time in another order."""
    from django.db import connection
    from django.utils import timezone

    from session_mgmt.models import Progress
    from session_mgmt.models.progress_flush import ProgressState

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # look each one up, as among a million sessions
            cursor.execute("SET enable_hashjoin = off; SET enable_mergejoin = off")
            cursor.execute("SET enable_seqscan = off")
    order = random.Random(number)
    time.sleep(max(0.0, started_at() - time.time()))
    for step in range(rounds):
        order.shuffle(ids)
        now = timezone.now()
        Progress.objects.record_many(ProgressState(one, step, 0, "", None, now) for one in ids)


def remove_all(ids):
    """Remove the sessions one after the other; return how many there were."""
    from session_mgmt.sessions import session_manager

    return sum(session_manager.remove_session(one) for one in ids)


def track_all(ids, steps):
    """Step each session in turn while the flusher writes every few milliseconds."""
    from django.conf import settings

    from session_mgmt.db.write_behind import flush
    from session_mgmt.models import GenerationSession

    settings.SESSION_MGMT["FLUSH_INTERVAL"] = 0.05
    trackers = [session.track(total=steps) for session in GenerationSession.objects.all()]
    assert len(trackers) == len(ids)
    for _ in range(steps):
        for tracker in trackers:
            tracker.step()
        time.sleep(0.001)
    flush(60)


# Programs


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def hammers(interval):
    """Step without a pause and tell now and then how many steps were made and when."""
    from django.conf import settings

    settings.SESSION_MGMT["FLUSH_INTERVAL"] = float(interval)
    from session_mgmt.models import GenerationSession

    told = 0.0
    tracker = GenerationSession.objects.get().track()
    for step in range(1, sys.maxsize):
        tracker.step()
        if (now := time.monotonic()) - told > 0.01:
            told = now
            say(step, time.time())


def forks():
    """Hand a tracker whose state waits for the flusher over to a child."""
    from django.conf import settings
    from django.db import connection

    settings.SESSION_MGMT["FLUSH_INTERVAL"] = 3600
    from session_mgmt.db.write_behind import flush
    from session_mgmt.models import GenerationSession

    tracker = GenerationSession.objects.get().track(total=9)
    tracker.step(2)
    connection.close()
    held, forked = threading.Event(), threading.Event()

    def be_in_the_middle_of_a_step():
        with tracker._lock:
            held.set()
            forked.wait(60)

    thread = threading.Thread(target=be_in_the_middle_of_a_step)
    thread.start()
    assert held.wait(60)
    if (child := os.fork()) == 0:
        tracker.step(3)
        assert tracker.remaining
        flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    forked.set()
    thread.join()


if __name__ == "__main__":
    import django

    django.setup()
    _program, *_arguments = sys.argv[1:]
    globals()[_program](*_arguments)
