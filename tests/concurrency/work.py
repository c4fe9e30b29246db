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
