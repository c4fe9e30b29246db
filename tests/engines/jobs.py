"""Make jobs and wait for them, for the tests of engines."""

from session_mgmt import JobStatus
from session_mgmt.models import Job
from tests.processes import wait_until

PATIENCE = 60.0


def make(job_type, target="target", parameters=None, **options):
    return Job.objects.create_if_not_exists(job_type, target, parameters, **options)[0]


def wait_for_status(job, status=JobStatus.COMPLETED):
    def reached():
        job.refresh_from_db()
        return job.status is status

    wait_until(reached, PATIENCE)
    return job


def wait_for_step(job, step):
    """Wait until the handler says that it is there."""

    def reached():
        job.refresh_from_db()
        return job.current_step == step

    wait_until(reached, PATIENCE)
    return job
