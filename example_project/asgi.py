"""Hands the site to an ASGI server; in the demo it serves the static files as well."""

from __future__ import annotations

import os

from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from session_mgmt.db.write_behind import flush_on_shutdown

__all__ = ["application"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

django_application = get_asgi_application()
if settings.DEMO:
    django_application = ASGIStaticFilesHandler(django_application)
application = flush_on_shutdown(django_application)
