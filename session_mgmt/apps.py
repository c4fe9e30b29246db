"""Tell Django about the app: its checks, the handlers of installed apps, and dispatch on commit."""

from __future__ import annotations

from contextlib import suppress

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from session_mgmt.checks import (
    check_middleware,
    check_pool,
    check_pool_size,
    check_settings,
    check_sqlite,
)

__all__ = ["SessionMgmtConfig"]


class SessionMgmtConfig(AppConfig):
    """`INSTALLED_APPS += ["session_mgmt"]`."""

    name = "session_mgmt"
    verbose_name = _("Session management")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register checks, import the engine and every app's `job_handlers`, connect dispatch."""
        from session_mgmt.jobs import dispatch
        from session_mgmt.jobs.engines import get_engine

        register(check_settings, self.label)
        register(check_sqlite)
        register(check_pool)
        register(check_pool_size, Tags.database)
        register(check_middleware)
        dispatch.connect()
        autodiscover_modules("job_handlers")
        with suppress(Exception):  # what is wrong with it a check tells, and the first job
            get_engine()  # a worker of Celery knows the tasks that are imported by now
