"""A running job keeps its lease on a pool that has no connection left."""

from django.core.management import call_command
from django.db import connections

from session_mgmt import JobStatus
from session_mgmt.jobs import handlers as registry
from session_mgmt.jobs import job_handler, run_job
from session_mgmt.models import Job
from tests.faults.servers import ON_POSTGRES, run
from tests.processes import wait_until

pytestmark = ON_POSTGRES


def test_a_job_that_has_the_only_connection_keeps_its_lease(
    server, pooled, settings, monkeypatch, caplog
):
    settings.SESSION_MGMT = {"LEASE": 0.6}
    monkeypatch.setattr(registry, "_handlers", dict(registry._handlers))
    call_command("migrate", database=pooled, verbosity=0)
    leases = []

    def next_lease():
        lease, is_alive = run(
            connections[pooled],
            "SELECT lease_expires_at, lease_expires_at > now() FROM session_mgmt_job",
        )
        if lease not in leases:
            leases.append(lease)
            return [is_alive]
        return None

    def wait(job):
        return [wait_until(next_lease)[0] for _ in range(4)]

    job_handler("wait", max_retries=0)(wait)
    job, _ = Job.objects.using(pooled).create_if_not_exists("wait", "target")
    run_job(job.pk, pooled)
    job.refresh_from_db()
    assert (job.status, job.result) == (JobStatus.COMPLETED, [True] * 4)
    assert "not renewed" not in caplog.text
