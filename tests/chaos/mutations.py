"""Known-broken designs that a process can put in the place of the library's, to test the checker.

CHAOS_MUTATION names one.
"""

from __future__ import annotations

from contextlib import contextmanager

from django.db import transaction
from django.db.models.functions import Now

from session_mgmt.conf import get_settings
from session_mgmt.db.returning import update_returning
from session_mgmt.jobs.context import JobContext
from session_mgmt.jobs.fence import Fence
from session_mgmt.jobs.rescue import Rescue
from session_mgmt.management.commands import rescue_jobs as command
from session_mgmt.models import job_creation
from session_mgmt.models.job_queries import JobQuerySet


def no_fence():
    """Every attempt may write, whether it owns the job or not."""
    JobQuerySet.owned_by = lambda self, job: self.filter(pk=job.pk)


def claim_by_looking_first():
    """Look whether the job is pending, and take it then."""

    def claim(self, job_id, job_types):
        job = self.filter(pk=job_id).due().first()
        if job is None:
            return None
        values = {"status": "running", "attempt": job.attempt + 1}
        lease = Now() + get_settings().LEASE
        return update_returning(self.filter(pk=job_id), lease_expires_at=lease, **values)[0]

    JobQuerySet.claim = claim


def no_rescue():
    """Trust that every message arrives and that no worker dies."""
    command.rescue_jobs = lambda *_, **__: Rescue(0, 0)


def dispatch_before_commit():
    """Tell the engine of a new job at once."""
    job_creation.announce = lambda signal, sender, _, **values: signal.send_robust(sender, **values)


def fence_by_looking_first():
    """Look whether the attempt owns the job, and write then."""

    @contextmanager
    def atomic(self):
        with transaction.atomic(using=self.using):
            if self.is_open():
                yield

    Fence.atomic = atomic


def forgotten_steps():
    """Do every step in every attempt."""
    JobContext._done_steps = lambda self: {}


MUTATIONS = {
    mutation.__name__: mutation
    for mutation in (
        no_fence,
        fence_by_looking_first,
        claim_by_looking_first,
        no_rescue,
        dispatch_before_commit,
        forgotten_steps,
    )
}


def apply(name):
    """Break this process as told, if at all."""
    if name:
        MUTATIONS[name]()
