"""The tests' settings for a worker of the engine that a test has chosen."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403 # the site is the same
from tests.settings import INSTALLED_APPS, SESSION_MGMT

INSTALLED_APPS += ["tests.engines"]
SESSION_MGMT |= {"LEASE": 5, "JOB_RETRY_DELAY": 0.3, "FLUSH_INTERVAL": 60}

# A test says by this variable what its own settings are as well.
_engine = json.loads(os.environ.get("TEST_ENGINE", "{}"))
SESSION_MGMT |= _engine.pop("SESSION_MGMT", {})
INSTALLED_APPS += _engine.pop("INSTALLED_APPS", [])
globals().update(_engine)
