"""Refuse text and JSON that one of the databases cannot store, before anything is written.

PostgreSQL refuses NUL characters and lone surrogates, SQLite takes them; Python's JSON writes NaN,
PostgreSQL refuses it. So Python checks, and a value means the same on both.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Final, TypeAlias

from session_mgmt.conf import get_settings
from session_mgmt.exceptions import InvalidInputError, shown
from session_mgmt.redaction import redacted
from session_mgmt.states import GenerationStatus

__all__ = [
    "JSON",
    "checked_json",
    "checked_json_text",
    "checked_status",
    "checked_text",
    "cleaned_report",
]

# What json.loads returns. Spelled without recursion, which model fields cannot resolve.
JSON: TypeAlias = "dict[str, object] | list[object] | str | int | float | bool | None"

_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_MOST_DIGITS: Final = 4_300  # beyond it Python does not read a number back
_DIGITS: Final = "0123456789"
_STRING: Final = re.compile(rb'"[^"]*"')
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_MARKS: Final = bytes({*range(256)} - {*_STEPS, ord('"')})
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def checked_text(field: str, value: str, max_length: int) -> str:
    """Return `value` unchanged.

    Raises:
        InvalidInputError: it is longer than `max_length` characters, or holds a NUL character or
            half of a surrogate pair.
    """
    if len(value) > max_length:
        raise InvalidInputError(
            field, f"is {len(value):,} characters long; the limit is {max_length:,}"
        )
    if found := _UNSTORABLE.search(value):
        kind = "a NUL character" if found.group() == "\x00" else "half of a surrogate pair"
        raise InvalidInputError(field, f"contains {kind} at position {found.start()}; remove it")
    return value


def checked_status(status: object) -> GenerationStatus:
    """Return the status of a session that this is, or names.

    Raises:
        InvalidInputError: there is no such status.
    """
    try:
        return GenerationStatus(status)  # type: ignore[call-overload,no-any-return] # it refuses all else
    except ValueError:
        known = ", ".join(GenerationStatus.values)
        raise InvalidInputError("status", f"{shown(status)} is not one of {known}") from None


def checked_json(field: str, value: object) -> JSON:
    """Return `value` as JSON would give it back: tuples become lists, keys become text.

    Raises:
        InvalidInputError: it cannot be written as JSON, holds NaN or an infinity, is too large or
            too deep, or holds text that cannot be stored.
    """
    limits = get_settings()
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        size = len(text.encode(errors="surrogatepass"))
        if size > limits.MAX_JSON_BYTES:
            raise InvalidInputError(
                field, f"is {size:,} bytes of JSON; the limit is {limits.MAX_JSON_BYTES:,}"
            )
        plain: JSON = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(field, f"cannot be written as JSON: {error}") from None
    _check_depth(field, plain, limits.MAX_JSON_DEPTH)
    return plain


def checked_json_text(field: str, text: str) -> str:
    """Return JSON that some serializer wrote, unchanged.

    Raises:
        InvalidInputError: it is too large or too deep, or holds NaN, an infinity, a NUL character
            or a number that nobody could read back.
    """
    limits = get_settings()
    size = len(text.encode(errors="surrogatepass"))
    if size > limits.MAX_JSON_BYTES:
        raise InvalidInputError(
            field, f"is {size:,} bytes of JSON; the limit is {limits.MAX_JSON_BYTES:,}"
        )
    # Each of these is rare, and one look at the text tells that there is nothing to look for.
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidInputError(field, "contains a NUL character; remove it")
    is_deep = text.count("[") + text.count("{") > limits.MAX_JSON_DEPTH < _depth(text)
    if is_deep or "NaN" in text or "Infinity" in text or _has_long_number(text):
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(field, f"cannot be read back: {error}") from None
        checked_json(field, plain)
    return text


def _depth(text: str) -> int:
    """Return how deep JSON nests, without reading it."""
    plain = text.replace("\\\\", "").replace('\\"', "").encode(errors="surrogatepass")
    marks = plain.translate(None, _NO_MARKS).replace(b'""', b"")
    return max(accumulate(map(_STEPS.__getitem__, _STRING.sub(b"", marks))), default=0)


def _has_long_number(text: str) -> bool:
    """Tell whether there are as many digits in a row as no number may have, also in a string."""
    for middle in range(_MOST_DIGITS - 1, len(text), _MOST_DIGITS):
        if text[middle] in _DIGITS:
            before, after = (
                text[middle - _MOST_DIGITS + 1 : middle],
                text[middle : middle + _MOST_DIGITS],
            )
            rest = len(before.rstrip(_DIGITS)) + len(after.lstrip(_DIGITS))
            if len(before) + len(after) - rest >= _MOST_DIGITS:
                return True
    return False


def _check_depth(field: str, plain: JSON, max_depth: int) -> None:
    waiting: list[tuple[object, int]] = [(plain, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            checked_text(field, value, len(value))
        elif isinstance(value, dict | list):
            if depth == max_depth:
                raise InvalidInputError(field, f"is nested deeper than {max_depth} levels")
            inside = [*value, *value.values()] if isinstance(value, dict) else value
            waiting.extend((item, depth + 1) for item in inside)


def cleaned_report(value: str) -> str:
    """Return a text that can be stored whatever it held: a failing job must be able to fail.

    Secrets are taken out (see `redaction`), and what is too long is cut.
    """
    limit = get_settings().MAX_DESCRIPTION_LENGTH
    cleaned = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", redacted(value[: 10 * limit]))
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"
