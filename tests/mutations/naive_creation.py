"""Known-bad designs of the creation of jobs, put back where the right one was.

There is no number to collide on in these designs; so a number that is taken is no obstacle here,
and the next one is.
"""

import time

from tests.concurrency import work

SLOW_NETWORK = 0.002  # seconds between the two statements; they fail without it too, but less often


def _use(naive):
    from session_mgmt.models import job_creation

    job_creation.create_once = naive


def _found(model, request, statuses):
    rows = model.objects.filter(job_type=request.job_type, target_id=request.target_id)
    return rows.filter(status__in=statuses)


def select_then_create(number, keys):
    """Look first and create then, as seed 002 shows the old way."""
    from session_mgmt.models.job_creation import create_next

    def naive(model, using, request, statuses):
        if job := _found(model, request, statuses).first():
            return job, False
        time.sleep(SLOW_NETWORK)
        return create_next(model, using, request), True

    _use(naive)
    return work.create_jobs(number, keys)


def lock_then_create(number, keys):
    """Lock what is there and create then, in one transaction."""
    from django.db import transaction

    from session_mgmt.models.job_creation import create_next

    def naive(model, using, request, statuses):
        with transaction.atomic():
            if job := _found(model, request, statuses).select_for_update().first():
                return job, False
            time.sleep(SLOW_NETWORK)
            return create_next(model, using, request), True

    _use(naive)
    return work.create_jobs(number, keys)


def overwrite_the_loser(number, keys):
    """Believe that whoever asked has created it, without looking at who won."""
    from session_mgmt.models import job_creation

    right = job_creation.create_once
    _use(lambda *arguments: (right(*arguments)[0], True))
    return work.create_jobs(number, keys)


def insert_in_the_order_of_the_caller(number, keys):
    """Do not sort the targets of a bulk; return how many transactions were lost by that."""
    from django.db import OperationalError

    from session_mgmt.models import job_bulk_creation

    job_bulk_creation.sorted = lambda items: list(items)
    try:
        work.create_many_jobs(number, keys, None, True, blocks=1)
    except OperationalError as error:
        return error.__cause__.sqlstate
    return None
