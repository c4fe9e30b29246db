"""Settings of the processes that get hurt: short times, and the broker that can be made to fail."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 # the environment comes first
from tests.settings import INSTALLED_APPS, LOGGING, SESSION_MGMT

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos"]
LEASE = 2.0
SESSION_MGMT = SESSION_MGMT | {
    "JOB_ENGINE": "tests.chaos.broker.ChaosEngine",
    "LEASE": LEASE,
    "REDISPATCH_AFTER": 0.5,
    "JOB_RETRY_DELAY": 0.05,
    "JOB_RETRY_MAX_DELAY": 0.5,
}
LOGGING = LOGGING | {"loggers": {"django": {"handlers": [], "level": "ERROR", "propagate": True}}}
