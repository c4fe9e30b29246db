"""A running job keeps its lease on a pool that has no connection left."""

import pytest
from django.core.management import call_command
from django.db import connections

from session_mgmt import JobStatus
from session_mgmt.jobs import handlers as registry
from session_mgmt.jobs import job_handler, run_job
from session_mgmt.models import Job
from tests.faults.servers import ON_POSTGRES, run
from tests.processes import wait_until

pytestmark = ON_POSTGRES


@pytest.fixture
def pooled(server, add_database):
    """The alias of a pool of one connection, on a database with the app's tables."""
    server.execute("CREATE DATABASE jobs_on_a_pool")
    entry = server.settings(
        NAME="jobs_on_a_pool", OPTIONS={"pool": {"min_size": 1, "max_size": 1, "timeout": 5}}
    )
    alias = add_database("pooled", entry)
    call_command("migrate", database=alias, verbosity=0)
    yield alias
    server.execute("DROP DATABASE jobs_on_a_pool WITH (FORCE)")


def test_a_job_that_has_the_only_connection_keeps_its_lease(pooled, settings, monkeypatch, caplog):
    settings.SESSION_MGMT = {"LEASE": 0.6}
    monkeypatch.setattr(registry, "_handlers", dict(registry._handlers))
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
