"""What the factories share: moments that fit together, and numbers that go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import factory
from django.db.models import Max, Model
from django.utils import timezone
from factory.django import DjangoModelFactory

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["NumberedFactory", "ended", "moment"]

M = TypeVar("M", bound=Model)


def moment() -> factory.LazyAttribute:
    """Declare the moment that is as long ago as the parameter `age` says."""
    return factory.LazyAttribute(lambda row: timezone.now() - row.age)


def ended(begun: datetime) -> datetime:
    """Return when something that began then may have ended: after a tenth of the time since."""
    return begun + (timezone.now() - begun) / 10


class NumberedFactory(DjangoModelFactory[M]):
    """Give a saved row the next number among its like; one that is only built has number 1."""

    _number: ClassVar[str]
    _like: ClassVar[tuple[str, ...]]

    class Meta:
        abstract = True

    @classmethod
    def _build(cls, model_class: type[M], *args: Any, **values: Any) -> M:  # Any: as factory-boy
        values.setdefault(cls._number, 1)
        built: M = super()._build(model_class, *args, **values)
        return built

    @classmethod
    def _create(cls, model_class: type[M], *args: Any, **values: Any) -> M:  # Any: as factory-boy
        if cls._number not in values:
            like = cls._get_manager(model_class).filter(
                **{name: values[name] for name in cls._like}
            )
            last = like.aggregate(last=Max(cls._number))["last"]
            values[cls._number] = (last or 0) + 1
        created: M = super()._create(model_class, *args, **values)
        return created
