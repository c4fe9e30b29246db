"""Makes the demo's users; their passwords are their names, so this is for the demo alone."""

from __future__ import annotations

from django.contrib.auth import get_user_model

__all__ = ["ensure_demo_users"]


def ensure_demo_users() -> None:
    """Make the users `demo` and `admin` unless they are there."""
    for name, is_admin in (("demo", False), ("admin", True)):
        user, created = get_user_model().objects.get_or_create(
            username=name, defaults={"is_staff": is_admin, "is_superuser": is_admin}
        )
        if created:
            user.set_password(name)
            user.save()
