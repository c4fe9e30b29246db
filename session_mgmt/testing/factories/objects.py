"""The rows of stored objects."""

from __future__ import annotations

from datetime import timedelta

import factory
from factory.django import DjangoModelFactory

from session_mgmt.models import StoredObject
from session_mgmt.objects.ids import new_object_id
from session_mgmt.testing.factories.base import moment

__all__ = ["StoredObjectFactory"]


class StoredObjectFactory(DjangoModelFactory[StoredObject]):
    """An object as it is stored; give it the `class_name` and `state` of a class of yours."""

    class Meta:
        model = StoredObject

    class Params:
        age = timedelta(0)

    class_name = "default.Counter"
    object_id = factory.LazyFunction(new_object_id)
    state = factory.LazyFunction(lambda: {"count": 1})
    created_at = moment()
    updated_at = factory.SelfAttribute("created_at")
