"""Tell Django about the app, and have pictures go with their sessions."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["StoryboardConfig"]


class StoryboardConfig(AppConfig):
    """`INSTALLED_APPS += ["example_project.storyboard"]`."""

    name = "example_project.storyboard"

    def ready(self) -> None:
        """Connect the receiver."""
        from example_project.storyboard.pictures import remove_pictures
        from session_mgmt.signals import session_removed

        session_removed.connect(remove_pictures, dispatch_uid="storyboard.pictures")
