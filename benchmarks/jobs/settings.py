"""Django's settings for the contenders and their workers; the addresses come from outside."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "none"  # noqa: S105 # nothing is signed
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_tasks",
    "django_tasks_db",
    "session_mgmt",
    "benchmarks.jobs",
]

# A connection for each task or request would be all that is measured.
_DEFAULT = environ.Env.db_url_config(os.environ["BENCHMARK_DATABASE_URL"]) | {"CONN_MAX_AGE": None}
# What `session_mgmt.db.pool.database_config` sets.
_OPTIONS = _DEFAULT.get("OPTIONS", {}) | {"server_side_binding": True, "prepare_threshold": 5}
_PREPARED = _DEFAULT | {"OPTIONS": _OPTIONS}
DATABASES = {
    "default": _PREPARED if "BENCHMARK_PREPARED" in os.environ else _DEFAULT,
    "prepared": _PREPARED,
}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
SESSION_MGMT = (
    {"JOB_ENGINE": os.environ["BENCHMARK_ENGINE"]} if "BENCHMARK_ENGINE" in os.environ else {}
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"django_tasks": {"level": "WARNING"}},
}
