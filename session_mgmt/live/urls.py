"""`path("sessions/", include("session_mgmt.live.urls"))`."""

from django.urls import path

from session_mgmt.live import views

__all__ = ["app_name", "urlpatterns"]

app_name = "session_mgmt"
urlpatterns = [path("<uuid:session_id>/", views.snapshot, name="snapshot")]
