"""Django's settings of the example site: secure by default, relaxed only in the demo.

A real deployment sets SECRET_KEY, DATABASE_URL and ALLOWED_HOSTS. `SESSION_MGMT_DEMO=1`, which
`make demo` and `manage.py` set when there is no SECRET_KEY, makes everything else up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
import environ
from csp.constants import NONE, SELF

from example_project.configuration import database, demo_secret_key
from example_project.embedded_postgres import EmbeddedPostgres

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
DEMO: bool = env.bool("SESSION_MGMT_DEMO", default=False)
DEBUG: bool = env.bool("DEBUG", default=False)

SECRET_KEY: str = (
    demo_secret_key(VAR_DIR / "secret_key")
    if DEMO and "SECRET_KEY" not in env.ENVIRON
    else env.str("SECRET_KEY")
)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if DEMO else []
)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    # Since Django 6.0 the tasks framework is a part of Django.
    *(["django_tasks"] if django.VERSION < (6, 0) else []),
    "django_tasks_db",
    "csp",
    "session_mgmt",
    "example_project.storyboard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    # Before what writes, so that a session or a message is a part of the request's transaction.
    "session_mgmt.middleware.AtomicRequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
ASGI_APPLICATION = "example_project.asgi.application"
WSGI_APPLICATION = "example_project.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

_database_url: str = (
    EmbeddedPostgres(VAR_DIR / "postgres").url
    if DEMO and not env.str("DATABASE_URL", default="")
    else env.str("DATABASE_URL")
)
DATABASES = {"default": database(_database_url, BASE_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
SESSION_MGMT: dict[str, object] = {"LEASE": 10, "REDISPATCH_AFTER": 10} if DEMO else {}
# Stands in for a slow model: how long drawing a scene takes at least.
STORYBOARD_SECONDS_PER_SCENE: float = env.float("STORYBOARD_SECONDS_PER_SCENE", default=0.0)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
MEDIA_URL = "media/"
MEDIA_ROOT = VAR_DIR / "media"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not DEMO
SECURE_HSTS_SECONDS = 0 if DEMO else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEMO
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "session_mgmt": {"level": "INFO"},
        "example_project": {"level": "INFO"},
        # Django's own handler would print the same lines a second time.
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
    },
}
