"""Call the functions of objects by requests that name them, and answer by responses (seed 000).

A request never raises: whatever goes wrong is told by the response's status.
"""

from __future__ import annotations

import enum
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django.db import Error as DatabaseError

from session_mgmt.db.errors import describe
from session_mgmt.exceptions import InvalidInputError, ObjectNotFoundError, shown
from session_mgmt.objects.payloads import arguments_of, payload_of
from session_mgmt.redaction import log_error
from session_mgmt.validation import cleaned_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from session_mgmt.objects.base import BaseObject
    from session_mgmt.objects.methods import FuncMeta
    from session_mgmt.objects.session import Session

__all__ = [
    "Invocation",
    "InvocationRequest",
    "InvocationResponse",
    "InvocationResponseCode",
    "ObjectInvocationRequest",
    "RpcManager",
    "respond",
    "respond_async",
]

logger: Final = logging.getLogger(__name__)


class InvocationResponseCode(enum.IntEnum):
    """How a call ended."""

    OKAY = 0
    INVALID_REQUEST = 1
    APP_ERROR = 2
    SYSTEM_ERROR = 3


@dataclass(frozen=True, slots=True)
class InvocationRequest:
    """Call a function on a new object of its class, which is kept if the function sets a field.

    Attributes:
        cls_id: package and name of the class, "default.Counter".
        fn_id: name of the function.
        partition_id: None means that of the session which is asked.
        options: for the function that takes the request itself; nothing else looks at them.
        payload: JSON of the one argument, or an object of arguments by name; bytes and text as is.
    """

    cls_id: str
    fn_id: str
    partition_id: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class ObjectInvocationRequest:
    """Call a method of one object; the fields are as in `InvocationRequest`.

    Attributes:
        object_id: which object.
    """

    cls_id: str
    fn_id: str
    object_id: int
    partition_id: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    payload: bytes = b""


Invocation: TypeAlias = InvocationRequest | ObjectInvocationRequest


@dataclass(frozen=True, slots=True)
class InvocationResponse:
    """What a call gave.

    Attributes:
        payload: the result as JSON, bytes and text as they are; or what went wrong, as text.
        status: one of `InvocationResponseCode`.
        headers: for the function that gives a response itself.
    """

    payload: bytes = b""
    status: int = InvocationResponseCode.OKAY
    headers: dict[str, str] = field(default_factory=dict)


class RpcManager:
    """What a session's `rpc_manager` is: the session by the names of its four calls."""

    def __init__(self, session: Session) -> None:
        self.invoke_fn = self.invoke_obj = session.invoke_local
        self.invoke_fn_async = self.invoke_obj_async = session.invoke_local_async


class _Call:
    """One request on its way."""

    def __init__(self, session: Session, request: Invocation, *, may_wait: bool) -> None:
        self.session = session
        self.request = request
        self.function = self._function()
        if self.function.is_async and not may_wait:
            raise InvalidInputError("fn_id", "it is a coroutine function; use invoke_local_async")

    def bound(self) -> Callable[[], Any]:
        """Load or make the object; return the call."""
        kwargs = arguments_of(self.function, self.request)
        self.obj = self._object()
        return lambda: self.function(self.obj, **kwargs)

    def answer(self, result: object, error: Exception | None) -> InvocationResponse:
        """Return the response, and leave nothing of an object that was only there to be called."""
        if error is None:
            try:
                return self._response(result)
            except Exception as unfit:
                error = unfit
        if isinstance(self.request, InvocationRequest):
            with suppress(ObjectNotFoundError):
                self.obj.delete()
        return _failure(self.request, error)

    def _response(self, result: object) -> InvocationResponse:
        if not self._is_kept():
            self.obj.delete()
        if isinstance(result, InvocationResponse):
            return result
        return InvocationResponse(payload_of(result))

    def _is_kept(self) -> bool:
        if isinstance(self.request, ObjectInvocationRequest):
            return True
        record = self.obj._record
        empty = record.schema.dump(record.schema.new())
        return not self.function.stateless and record.schema.dump(record.state) != empty

    def _function(self) -> FuncMeta:
        request = self.request
        if request.partition_id not in {None, self.session.partition_id}:
            mine = self.session.partition_id
            raise InvalidInputError("partition_id", f"this session has {mine} only")
        cls_meta = self.session.meta_repo.get_cls_meta(request.cls_id)
        if cls_meta is None:
            raise InvalidInputError("cls_id", f"there is no class {shown(request.cls_id)}")
        function = cls_meta.func_dict.get(request.fn_id)
        if function is None:
            name = shown(request.fn_id)
            raise InvalidInputError("fn_id", f"{cls_meta.cls_id} has no function {name}")
        self.cls_meta = cls_meta
        return function

    def _object(self) -> BaseObject:
        if isinstance(self.request, ObjectInvocationRequest):
            return self.session.load_object(self.cls_meta, self.request.object_id)
        return self.session.create_object(self.cls_meta, local=True)


def respond(session: Session, request: Invocation) -> InvocationResponse:
    """Call what a request names in this thread."""
    try:
        call = _Call(session, request, may_wait=False)
        bound = call.bound()
    except Exception as error:
        return _refusal(error)
    return call.answer(*_outcome(bound))


async def respond_async(session: Session, request: Invocation) -> InvocationResponse:
    """Call what a request names; a plain function in the thread of the task's database work."""
    try:
        call = _Call(session, request, may_wait=True)
        bound = await session._in_thread(call.bound)
    except Exception as error:
        return _refusal(error)
    if call.function.is_async:
        try:
            return call.answer(await bound(), None)
        except Exception as error:
            return call.answer(None, error)
    return call.answer(*await session._in_thread(partial(_outcome, bound)))


def _outcome(bound: Callable[[], object]) -> tuple[object, Exception | None]:
    """Return what a call gave or raised; a StopIteration would not come out of a thread."""
    try:
        return bound(), None
    except Exception as error:
        return None, error


def _refusal(error: Exception) -> InvocationResponse:
    """Return what is answered when nothing was called."""
    if isinstance(error, InvalidInputError | ObjectNotFoundError):
        return _answer(InvocationResponseCode.INVALID_REQUEST, str(error))
    log_error(logger, error, "A request could not be answered")
    return _answer(InvocationResponseCode.SYSTEM_ERROR, _described(error))


def _failure(request: Invocation, error: Exception) -> InvocationResponse:
    """Return what is answered when the function raised."""
    is_system = isinstance(error, DatabaseError)
    log_error(logger, error, "%s.%s failed", request.cls_id, request.fn_id)
    code = InvocationResponseCode.SYSTEM_ERROR if is_system else InvocationResponseCode.APP_ERROR
    return _answer(code, _described(error))


def _described(error: Exception) -> str:
    if isinstance(error, DatabaseError):
        return describe(error)
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own __str__
        return type(error).__name__


def _answer(code: InvocationResponseCode, text: str) -> InvocationResponse:
    return InvocationResponse(cleaned_report(text).encode(), code)
