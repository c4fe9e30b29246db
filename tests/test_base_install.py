"""The app starts without its extras, and says what it lacks."""

import subprocess
import sys

import django

from tests.processes import ROOT

SITE = """
import sys
OPTIONAL = "django_tasks django_tasks_db django_stubs_ext PIL environ factory csp"
for name in OPTIONAL.split():
    sys.modules[name] = None  # as if it were not installed
import django
from django.conf import settings
from django.core.checks import run_checks
settings.configure(
    SECRET_KEY="x",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "session_mgmt"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()
print(*[message.id for message in run_checks()])
"""


def test_without_a_tasks_framework_a_check_names_the_extra():
    done = subprocess.run(
        [sys.executable, "-c", SITE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built_in = django.VERSION >= (6, 0)
    expected = {"session_mgmt.W001"} if built_in else {"session_mgmt.E002", "session_mgmt.W001"}
    assert set(done.stdout.split()) == expected
