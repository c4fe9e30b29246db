"""Says which address leads to which app."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

__all__ = ["handler400", "urlpatterns"]

handler400 = "example_project.storyboard.views.bad_request"

urlpatterns = [
    path("", include("example_project.storyboard.urls")),
    path("sessions/", include("session_mgmt.live.urls")),
    path(
        "accounts/login/",
        LoginView.as_view(extra_context={"demo": settings.DEMO}),
        name="login",
    ),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
