"""Settings of the site that tests serve with real servers; its middleware as the library wants it.

The test that starts a server decides the rest by its environment.
"""

import json
import os

from tests.settings import *  # noqa: F403 # this adds to them
from tests.settings import DATABASES

ROOT_URLCONF = "tests.middleware.site"
MIDDLEWARE = [
    "tests.middleware.around.report_leftovers",
    "django.middleware.security.SecurityMiddleware",
    "session_mgmt.middleware.AtomicRequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tests.middleware.around.UseDatabaseFirst",
    "tests.middleware.around.AnswerExceptions",
]
_changes = json.loads(os.environ.get("TEST_DATABASE", "{}"))
_changes["OPTIONS"] = DATABASES["default"]["OPTIONS"] | _changes.get("OPTIONS", {})
DATABASES["default"] |= _changes
if "TEST_OTHER_NAME" in os.environ:
    DATABASES["other"] = DATABASES["default"] | {"NAME": os.environ["TEST_OTHER_NAME"]}
SESSION_MGMT = json.loads(os.environ.get("TEST_SESSION_MGMT", "{}"))
