"""What the processes of the concurrency tests do."""

import random


def create_jobs(number, keys):
    """Ask for a job for each of `keys` targets, in an order of this process's own."""
    from session_mgmt.models import Job

    targets = [f"target-{key}" for key in range(keys)]
    # Blocks in the same order, shuffled inside: processes meet at the same target all the time.
    order = random.Random(number)
    blocks = [targets[start : start + 5] for start in range(0, keys, 5)]
    for block in blocks:
        order.shuffle(block)
    answer = {}
    for target in (target for block in blocks for target in block):
        job, created = Job.objects.create_if_not_exists("race", target, {"by": number})
        answer[target] = (job.pk, created)
    return answer


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
