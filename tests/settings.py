"""The example site's settings for tests: cheap passwords, plain HTTP, a database of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("DATABASE_URL", "sqlite:///var/test.sqlite3")
os.environ.setdefault("DB_POOL_SIZE", "0")  # a pool's connections would keep the database alive

from example_project.settings import *  # noqa: F403 # the environment comes first
from example_project.settings import DATABASES, VAR_DIR

VAR_DIR.mkdir(exist_ok=True)
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because tests use several processes; in memory each would see its own database.
    _path = Path(_database["NAME"])
    _database["TEST"] = {"NAME": str(_path.with_name(f"test_{_path.name}"))}

# A process that a test starts works on the test's database, not on one of its own.
_database["NAME"] = os.environ.get("TEST_DATABASE_NAME", _database["NAME"])

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
SECURE_HSTS_SECONDS = 0
# A pass over lost jobs by whoever reads first would change the counts of queries.
SESSION_MGMT: dict[str, object] = {"RESCUE_ON_READ": None}
if "TEST_SESSION_MGMT_LEASE" in os.environ:
    SESSION_MGMT["LEASE"] = float(os.environ["TEST_SESSION_MGMT_LEASE"])

# The processes that a test starts share its files.
if "TEST_MEDIA_ROOT" not in os.environ:
    os.environ["TEST_MEDIA_ROOT"] = tempfile.mkdtemp(prefix="test-media-", dir=VAR_DIR)
    atexit.register(shutil.rmtree, os.environ["TEST_MEDIA_ROOT"], ignore_errors=True)
MEDIA_ROOT = os.environ["TEST_MEDIA_ROOT"]
