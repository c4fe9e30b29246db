"""Know the classes of an engine by their names, and their functions by theirs (seed 000)."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from session_mgmt.exceptions import ConfigurationError, shown
from session_mgmt.models.stored_object import MAX_CLASS_NAME
from session_mgmt.objects.base import BaseObject
from session_mgmt.objects.locks import renew_after_fork
from session_mgmt.objects.methods import FuncMeta, method

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ClsMeta", "MetadataRepo"]

C = TypeVar("C", bound=type[BaseObject])


class ClsMeta:
    """A class's name and functions; call it as a decorator of the class.

    Attributes:
        name: of the class, in its package.
        pkg: the package.
        cls: what was decorated.
        func_dict: its functions by name.
    """

    cls: type[BaseObject]

    def __init__(
        self,
        name: str | None = None,
        pkg: str = "default",
        update: Callable[[ClsMeta], None] | None = None,
    ) -> None:
        self.name = name or ""
        self.pkg = pkg
        self.func_dict: dict[str, FuncMeta] = {}
        self._update = update

    @property
    def cls_id(self) -> str:
        """Package and name, "default.Counter"; rows are found by it."""
        return f"{self.pkg}.{self.name}"

    def __call__(self, cls: C) -> C:
        """Register a class under this name.

        Raises:
            ConfigurationError: it is no `OaasObject` or `BaseObject`, its name cannot be stored, or
                another class has that.
        """
        if not issubclass(cls, BaseObject):
            raise ConfigurationError(f"{shown(cls)} must be a subclass of OaasObject or BaseObject")
        self.name = self.name or cls.__name__
        if not self.cls_id.isprintable() or len(self.cls_id) > MAX_CLASS_NAME:
            raise ConfigurationError(
                f"{shown(self.cls_id)} is no name for a class: it must be printable, and at most "
                f"{MAX_CLASS_NAME} characters with its package"
            )
        self.cls = cls
        functions = {
            name: value for part in cls.__mro__[::-1] for name, value in vars(part).items()
        }
        self.func_dict = {
            value.name: value for value in functions.values() if isinstance(value, FuncMeta)
        }
        if self._update:
            self._update(self)
        cls.__cls_meta__ = self
        return cls

    def func(
        self, name: str = "", *, stateless: bool = False, retry_on_conflict: bool = False
    ) -> Callable[[Callable[..., Any]], Any]:  # Any: the decorated method keeps its own types
        """Do as `oaas.method`; seed 000's older form of it."""
        return method(name=name, stateless=stateless, retry_on_conflict=retry_on_conflict)


class MetadataRepo:
    """The classes of one engine."""

    def __init__(self) -> None:
        self.cls_dict: dict[str, ClsMeta] = {}
        self._lock = threading.RLock()
        renew_after_fork(self)

    def add_cls(self, cls_meta: ClsMeta) -> None:
        """Register a class.

        A class that is made again, as when its module is reloaded, takes the place of the old one.

        Raises:
            ConfigurationError: another class has the name; their rows would be mixed up.
        """
        with self._lock:
            known = self.cls_dict.get(cls_meta.cls_id)
            if known is not None and _is_another(known.cls, cls_meta.cls):
                raise ConfigurationError(
                    f"{cls_meta.cls_id} is {known.cls.__module__}.{known.cls.__qualname__} "
                    "already; give one of them another name or package"
                )
            self.cls_dict[cls_meta.cls_id] = cls_meta

    def get_cls_meta(self, cls_id: str) -> ClsMeta | None:
        """Return the class of this name, None if there is none."""
        return self.cls_dict.get(cls_id)


def _is_another(known: type, new: type) -> bool:
    """Tell whether a class that is in use is not what `new` takes the place of."""
    if (known.__module__, known.__qualname__) == (new.__module__, new.__qualname__):
        return False
    found: object = sys.modules.get(known.__module__)
    for part in known.__qualname__.split("."):  # nothing is found of one that a function has made
        found = getattr(found, part, None)
    return found is known
