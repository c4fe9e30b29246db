"""What a Django project would have instead of a stateful object."""

from __future__ import annotations

from django.db import models


class Tally(models.Model):
    """A counter as a plain model.

    Attributes:
        counter: the number.
        title: some text beside it.
        note: more of it.
    """

    counter = models.IntegerField(default=0)
    title = models.CharField(max_length=100, default="")
    note = models.TextField(default="")

    def __str__(self) -> str:
        return f"{self.title} {self.counter}"
