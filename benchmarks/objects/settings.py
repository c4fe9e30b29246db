"""Django's settings for the contenders; the address comes from outside.

A partition of the objects is a database here, so that they can be compared in turn: the default
options of Django, those that `session_mgmt.db.pool.database_config` sets, and a large table.
"""

from __future__ import annotations

import os
from typing import Final

import environ

SECRET_KEY = "none"  # noqa: S105 # nothing is signed
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "session_mgmt",
    "benchmarks.objects",
]

PARTITIONS: Final = ("default", "prepared", "large")

# A connection for each block would be a part of what is measured.
_DEFAULT = environ.Env.db_url_config(os.environ["BENCHMARK_DATABASE_URL"]) | {"CONN_MAX_AGE": None}
_OPTIONS = _DEFAULT.get("OPTIONS", {}) | {"server_side_binding": True, "prepare_threshold": 5}
DATABASES = {
    "default": _DEFAULT,
    "prepared": _DEFAULT | {"OPTIONS": _OPTIONS},
    "large": _DEFAULT | {"NAME": "large"},
}
DATABASE_ROUTERS = ["benchmarks.objects.settings.ByPartition"]


class ByPartition:
    """Give each partition its database."""

    def db_for_write(self, model: object, *, partition_id: int = 0, **_: object) -> str:
        """Return the alias."""
        return PARTITIONS[partition_id]
