"""Let a method be called as it is, and by its name; nothing of it is committed before it ends."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints, overload

from asgiref.sync import iscoroutinefunction
from pydantic import TypeAdapter
from pydantic_core import CoreConfig, SchemaValidator

from session_mgmt.exceptions import ConfigurationError
from session_mgmt.objects.conflicts import repeat, repeat_async

if TYPE_CHECKING:
    from session_mgmt.objects.base import BaseObject

__all__ = ["FuncMeta", "method"]

F = TypeVar("F", bound=Callable[..., Any])  # Any: the decorated method keeps its own types


class FuncMeta:
    """A method of a stateful class.

    Attributes:
        func: as it was written.
        name: by which requests call it.
        signature: of `func`, with `self`.
        is_async: whether it is a coroutine function.
        stateless: whether it needs no object of its own: `fn_rpc` calls it on one that is not kept.
        retry_on_conflict: see `method`.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        name: str = "",
        stateless: bool = False,
        retry_on_conflict: bool = False,
    ) -> None:
        if not inspect.isfunction(func):
            raise ConfigurationError(f"oaas.method goes next to the function, not on {func!r}")
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise ConfigurationError(
                f"{func.__qualname__} is a generator, whose body runs when its caller likes; leave "
                "oaas.method away, or return a list"
            )
        self.func = func
        self.name = name or func.__name__
        self.signature = inspect.signature(func)
        self.is_async = iscoroutinefunction(func)
        self.stateless = stateless
        self.retry_on_conflict = retry_on_conflict
        self._readers: dict[str, SchemaValidator] = {}
        self._call = self._async_call() if self.is_async else self._sync_call()
        functools.update_wrapper(self, func)

    def __get__(self, obj: BaseObject | None, owner: type) -> Any:
        """Return the method bound to an object, as of any function."""
        return self if obj is None else self._call.__get__(obj, owner)

    def __call__(self, obj: BaseObject, *args: Any, **kwargs: Any) -> Any:
        """Call it on an object, as `Counter.increment(counter)` does."""
        return self._call(obj, *args, **kwargs)

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        """The types of the parameters that are annotated."""
        return get_type_hints(self.func, include_extras=True)

    def reader(self, name: str) -> SchemaValidator:
        """Return what reads a parameter's value from JSON, bytes from base64."""
        if name not in self._readers:
            schema = TypeAdapter(self.hints.get(name, Any)).core_schema
            self._readers[name] = SchemaValidator(schema, CoreConfig(val_json_bytes="base64"))
        return self._readers[name]

    def _sync_call(self) -> Callable[..., Any]:
        @functools.wraps(self.func)
        def call(obj: BaseObject, *args: Any, **kwargs: Any) -> Any:
            unit = obj.session._unit
            unit.begin_method()
            try:
                if self.retry_on_conflict:
                    return repeat(obj, functools.partial(self.func, obj, *args, **kwargs))
                return self.func(obj, *args, **kwargs)
            finally:
                unit.end_method()

        return call

    def _async_call(self) -> Callable[..., Any]:
        @functools.wraps(self.func)
        async def call(obj: BaseObject, *args: Any, **kwargs: Any) -> Any:
            unit = obj.session._unit
            unit.begin_method()
            try:
                work = functools.partial(self.func, obj, *args, **kwargs)
                return await (repeat_async(obj, work) if self.retry_on_conflict else work())
            finally:
                unit.end_method()

        return call


@overload
def method(function: F, /) -> F: ...
@overload
def method(
    *, name: str = "", stateless: bool = False, retry_on_conflict: bool = False
) -> Callable[[F], F]: ...
def method(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    stateless: bool = False,
    retry_on_conflict: bool = False,
) -> Any:
    """Make a method callable by its name too; with and without parentheses (seed 000).

    While it runs, nothing of its session is committed in the background, so that no half of its
    work ever is. What it had changed when it raised stays changed, as in any Python object.

    Args:
        function: what to decorate, where there are no parentheses.
        name: by which requests call it; its own by default.
        stateless: it needs no object of its own.
        retry_on_conflict: load the object afresh, run, and commit before returning; and do all of
            this again while somebody else's change came in between. What the method does outside of
            objects is done again too. In an open scope, that commits and nothing is repeated.
    """

    def decorate(function: Callable[..., Any]) -> FuncMeta:
        return FuncMeta(
            function, name=name, stateless=stateless, retry_on_conflict=retry_on_conflict
        )

    return decorate if function is None else decorate(function)
