"""Turn the bytes of a request into a function's arguments, and its result into bytes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, get_args

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from session_mgmt.exceptions import InvalidInputError

if TYPE_CHECKING:
    from session_mgmt.objects.methods import FuncMeta
    from session_mgmt.objects.rpc import Invocation

__all__ = ["arguments_of", "payload_of"]

_OBJECT: Final = TypeAdapter(dict[str, Any])
_BY_NAME: Final = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
_REQUESTS: Final = {
    f"session_mgmt.objects.rpc.{name}" for name in ("InvocationRequest", "ObjectInvocationRequest")
}


def arguments_of(
    function: FuncMeta, request: Invocation
) -> dict[str, Any]:  # Any: the function's own types
    """Return what to call a function with, by name.

    One parameter takes the whole payload: as it is if it is annotated as bytes or str, else as the
    JSON of its value. Several take a JSON object, by their names. A parameter that is annotated as
    a request gets the request. An empty payload leaves the defaults.

    Raises:
        InvalidInputError: the payload does not fit; it names the parameter.
    """
    parameters = [*function.signature.parameters.values()][1:]
    wants_request = [one.name for one in parameters if _is_request(function.hints.get(one.name))]
    kwargs: dict[str, Any] = dict.fromkeys(wants_request, request)
    if odd := [one.name for one in parameters if one.kind not in _BY_NAME]:
        raise InvalidInputError(
            odd[0], "cannot be given by a request; declare it by its name alone"
        )
    rest = [one for one in parameters if one.name not in kwargs]
    if len(rest) == 1:
        if request.payload or rest[0].default is inspect.Parameter.empty:
            name = rest[0].name
            kwargs[name] = _value(function, name, request.payload)
    elif rest:
        kwargs.update(_values(function, rest, request.payload))
    return kwargs


def payload_of(result: object) -> bytes:
    """Return a function's result as the bytes of a response; nothing for None.

    NaN and the infinities, which JSON does not know, become null, as JavaScript has it.
    """
    if result is None:
        return b""
    if isinstance(result, str):
        return result.encode()
    if isinstance(result, bytes | bytearray | memoryview):
        return bytes(result)
    return pydantic_core.to_json(result, bytes_mode="base64", inf_nan_mode="null")


def _is_request(hint: object) -> bool:
    return any(
        f"{getattr(one, '__module__', '')}.{getattr(one, '__name__', '')}" in _REQUESTS
        for one in (hint, *get_args(hint))
    )


def _value(function: FuncMeta, name: str, payload: bytes) -> Any:
    hint = function.hints.get(name)
    if hint is bytes:
        return payload
    if hint is str:
        try:
            return payload.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError(name, f"is no text in UTF-8: {error.reason}") from None
    try:
        return function.reader(name).validate_json(payload)
    except ValidationError as error:
        raise _refused(name, error) from None


def _values(
    function: FuncMeta, parameters: list[inspect.Parameter], payload: bytes
) -> dict[str, Any]:
    try:
        given = _OBJECT.validate_json(payload or b"{}")
    except ValidationError as error:
        raise _refused("payload", error) from None
    names = [one.name for one in parameters]
    if unknown := given.keys() - set(names):
        raise InvalidInputError(min(unknown), f"is no parameter; known are {', '.join(names)}")
    values = {}
    for one in parameters:
        if one.name in given:
            raw = pydantic_core.to_json(given[one.name])
            try:
                values[one.name] = function.reader(one.name).validate_json(raw)
            except ValidationError as error:
                raise _refused(one.name, error) from None
        elif one.default is inspect.Parameter.empty:
            raise InvalidInputError(one.name, "is missing in the payload")
    return values


def _refused(name: str, error: ValidationError) -> InvalidInputError:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join([name, *map(str, first["loc"])])
    return InvalidInputError(where, first["msg"])
