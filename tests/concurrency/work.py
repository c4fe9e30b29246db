"""What the processes of the concurrency tests do."""

import random
import time

from tests.processes import started_at


def create_jobs(number, keys, isolation=None, statuses=("pending", "running")):
    """Ask for a job for each of `keys` targets.

    All processes begin each block of targets at the same moment, each in an order of its own;
    without that the first one would stay ahead, and the others would find everything done.
    """
    from session_mgmt.models import Job

    set_isolation(isolation)
    targets = [f"target-{key}" for key in range(keys)]
    order = random.Random(number)
    blocks = [targets[start : start + 25] for start in range(0, keys, 25)]
    answer = {}
    for moment, block in enumerate(blocks):
        order.shuffle(block)
        time.sleep(max(0.0, started_at() + moment * 0.3 - time.time()))
        for target in block:
            job, created = Job.objects.create_if_not_exists(
                "race", target, {"by": number}, statuses
            )
            answer[target] = (job.pk, created)
    return answer


def create_many_jobs(number, keys, isolation=None, within=False, blocks=4):
    """Ask for jobs for two thirds of the targets in a few bulks, every other process from behind.

    The thirds overlap; with the same targets the fastest process would create all. Return as
    `create_jobs` does. `within` puts each bulk into a transaction, which is not repeated.
    """
    import logging
    from contextlib import nullcontext

    from django.db import transaction

    from session_mgmt.models import Job
    from session_mgmt.models.job_request import JobRequest

    logging.getLogger("session_mgmt").setLevel("ERROR")  # there are thousands of lines
    set_isolation(isolation)
    targets = [f"target-{key:05}" for key in range(keys)]
    answer = {}
    for moment in range(blocks):
        block = [t for key, t in enumerate(targets[moment::blocks]) if (key + number) % 3]
        if number % 2:
            block.reverse()
        requests = [JobRequest("race", target, {"by": number}) for target in block]
        time.sleep(max(0.0, started_at() + moment * 0.5 - time.time()))
        with transaction.atomic() if within else nullcontext():
            results = Job.objects.create_many_if_not_exist(requests)
        for target, (job, created) in zip(block, results, strict=True):
            assert job.target_id == target
            answer[target] = (job.pk, created)
    return answer


def create_and_end_jobs(number, keys, times):
    """Ask for jobs again and again and end those that were created; return the runs by target."""
    from session_mgmt import JobStatus
    from session_mgmt.models import Job

    runs = []
    for _ in range(times):
        for key in range(keys):
            job, created = Job.objects.create_if_not_exists("race", f"target-{key}")
            if created:
                runs.append([job.target_id, job.run_number])
                Job.objects.filter(pk=job.pk).update(status=JobStatus.COMPLETED)
    return runs


def set_isolation(level):
    """Set the isolation level of this process's transactions, None for the usual one."""
    from django.db import connection

    if level:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")


def add_scenes(session_id, number, count):
    """Add scenes of numbers that only this process uses."""
    from session_mgmt import ScenePrompt
    from session_mgmt.sessions import session_manager

    for index in range(count):
        scene = ScenePrompt(scene_number=1 + number * count + index)
        assert session_manager.add_scene_to_session(session_id, scene)


def watch_events(session_id, start, until):
    """Read events as a watcher does, from the last number on, until number `until` came."""
    from session_mgmt.models import SessionEvent
    from tests.processes import wait_until

    seen = [start]

    def read():
        events = SessionEvent.objects.filter(session=session_id).after(seen[-1])
        seen.extend(events.values_list("seq", flat=True))
        return seen[-1] >= until

    wait_until(read, timeout=60)
    return seen[1:]


def start_sessions(count):
    """Start sessions under keys that every process uses; return their ids."""
    from session_mgmt import GenerationRequest
    from session_mgmt.sessions import session_manager

    request = GenerationRequest(story_text="x")
    return [
        session_manager.start(request, idempotency_key=f"key-{number}").session_id
        for number in range(count)
    ]


def end_sessions(ids, status):
    """End sessions; return for each whether this process did it."""
    from session_mgmt import GenerationStatus
    from session_mgmt.sessions import session_manager

    return [session_manager.update_session_status(one, GenerationStatus(status)) for one in ids]


def create_up_to(limit, policy, count, threads):
    """Create sessions in several threads and return how many were created and refused."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    from session_mgmt import GenerationRequest, SessionCapacityError
    from session_mgmt.models import GenerationSession
    from session_mgmt.sessions import SessionManager

    manager = SessionManager(limit, None, policy)

    def create(_):
        created = refused = most = 0
        for _ in range(count):
            try:
                manager.create_session(GenerationRequest(story_text="x"))
                created += 1
            except SessionCapacityError:
                refused += 1
            most = max(most, GenerationSession.objects.count())
        connection.close()
        return created, refused, most

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(create, range(threads)))
    return [sum(r[0] for r in results), sum(r[1] for r in results), max(r[2] for r in results)]


def count_under_lock(session_id, times):
    """Add one to a number in the session, so many times."""
    from session_mgmt.sessions import session_manager

    def add(session):
        session.error_message = str(int(session.error_message or 0) + 1)

    for _ in range(times):
        session_manager.with_session_lock(session_id, add)
    return True


def update_in_order(ids, times):
    """Update all the sessions at once, so many times, and return how many updates worked."""
    from session_mgmt.sessions import session_manager

    def touch(session):
        session.error_message = "touched"

    return sum(session_manager.bulk_update_sessions(ids, touch) for _ in range(times))


def clean_up_all(by_django):
    """Clean up until there is nothing left to find, and return how many went."""
    from session_mgmt import signals
    from session_mgmt.sessions.cleanup import clean_up
    from session_mgmt.sessions.expiry import expiry_rules

    if not by_django:  # the example's receiver would need it
        signals.session_removed.disconnect(dispatch_uid="storyboard.pictures")
    total = 0
    while removed := clean_up(expiry_rules(), "default", batch_size=50).total:
        total += removed
    return total


def renew_some(ids):
    """Renew sessions one by one and return those whose renewal was confirmed."""
    from session_mgmt.sessions import session_manager

    return [session_id for session_id in ids if session_manager.renew_session(session_id)]


def lower_limit(limit):
    """Lower the limit to so many sessions."""
    from session_mgmt.sessions import SessionManager

    SessionManager(10_000, None).reconfigure(max_sessions=limit)
    return True


def create_in_pairs(limit, times):
    """Create two sessions in a transaction, so many times, each again until it works."""
    from session_mgmt import GenerationRequest
    from session_mgmt.db import run_in_transaction
    from session_mgmt.sessions import SessionManager

    manager = SessionManager(limit, None)

    def create():
        for _ in range(2):
            manager.create_session(GenerationRequest(story_text="x"))

    for _ in range(times):
        run_in_transaction(create)
    return True
