"""The rows that only the app itself reads."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final

import factory
from factory.django import DjangoModelFactory

from session_mgmt.models import CapacityStripe, CommitToken
from session_mgmt.testing.factories.base import moment

__all__ = ["CapacityStripeFactory", "CommitTokenFactory"]

_STRIPES: Final = 16  # a full set, as the manager makes it


class CommitTokenFactory(DjangoModelFactory[CommitToken]):
    """The trace of work that has committed under a token."""

    class Meta:
        model = CommitToken

    class Params:
        age = timedelta(0)

    token = factory.LazyFunction(lambda: f"payment-{uuid.uuid4()}")
    holder = factory.LazyFunction(lambda: uuid.uuid4().hex)
    created_at = moment()


class CapacityStripeFactory(DjangoModelFactory[CapacityStripe]):
    """One of the 16 shares of the room below a limit; `age` is how long ago it was counted."""

    class Meta:
        model = CapacityStripe

    class Params:
        age = timedelta(0)

    id = factory.Sequence(lambda n: n % _STRIPES)
    free = 10
    max_sessions = 5000
    counted_at = moment()
