"""Without factory-boy only the factories are missing, and they say how to get them."""

import subprocess
import sys

from tests.processes import ROOT

WITHOUT = """
import sys
sys.modules["factory"] = None  # as if it were not installed
import session_mgmt.testing  # before Django knows its settings
import session_mgmt.testing.plugin
import django
from django.conf import settings
settings.configure(
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "session_mgmt"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
from session_mgmt.testing import *
manager = create_test_session_manager()
print(manager.max_sessions, create_mock_session().status, wait_for_cleanup(manager))
try:
    import session_mgmt.testing.factories
except ImportError as error:
    print(error)
"""


def test_the_functions_work_and_the_factories_name_the_extra():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "5 pending True",
        "To make rows with factories, pip install 'django-session-mgmt[testing]'",
    ]
