"""Let processes race for the same jobs and say what they did wrong, for tests and for mutants."""

from collections import defaultdict

from session_mgmt.models import Job
from tests.processes import in_processes


def race(function, argument_lists):
    """Return what each process answered, `{target: [id of the job, created]}`."""
    answers = in_processes(function, argument_lists)
    creators = [sum(created for _, created in answer.values()) for answer in answers]
    assert sum(count > 0 for count in creators) > 1, f"nobody raced: {creators}"
    return answers


def violations(answers, keys):
    """Return how many targets each promise was broken for; nothing if all were kept.

    Args:
        answers: what `race` returned.
        keys: how many targets there were.
    """
    jobs_of = defaultdict(set)
    creators_of = defaultdict(int)
    for answer in answers:
        for target, (job_id, created) in answer.items():
            jobs_of[target].add(job_id)
            creators_of[target] += created
    stored = Job.objects.values_list("target_id", flat=True)
    found = {
        "with several jobs": len(stored) - len(set(stored)),
        "without a job": keys - len(set(stored)),
        "with answers that differ": sum(len(ids) > 1 for ids in jobs_of.values()),
        "without exactly one creator": sum(count != 1 for count in creators_of.values()),
    }
    return {promise: count for promise, count in found.items() if count}
