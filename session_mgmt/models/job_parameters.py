"""Check the parameters of a job once, as a dict or as JSON text, and compare what they mean.

What is stored must mean the same on every database. jsonb knows numbers, not their spelling: it
keeps 1.0, and gives 1e20 back as a whole number. So such numbers are made whole before.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Final

from session_mgmt.conf import get_settings
from session_mgmt.exceptions import InvalidInputError, named
from session_mgmt.validation import checked_json

__all__ = ["checked_parameters", "differing_keys"]

_FIELD: Final = "parameters"
_PLAIN: Final = frozenset({str, int, bool, type(None)})


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(_FIELD, f"holds the key {named(twice)} twice")
    return plain


def _stored_number(text: str) -> float | int:
    # 1e+23 is not the float nearest to it for jsonb, but the whole number itself.
    return int(Decimal(text)) if "e+" in text else float(text)


# Made once: json.dumps and json.loads make new ones for every value that is not plain.
_encode: Final = json.JSONEncoder(allow_nan=False).encode
_decode: Final = json.JSONDecoder(object_pairs_hook=_unique).decode
_decode_large: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_stored_number
).decode


def checked_parameters(value: object) -> tuple[dict[str, object], str]:
    """Return a JSON object as the database will give it back, and its text; `{}` from None.

    Args:
        value: a dict, or JSON text as in seed 002.

    Raises:
        InvalidInputError: it is neither, holds a key twice, or `checked_json` refuses it.
    """
    if value is None:
        return {}, "{}"
    if isinstance(value, str):
        value = _from_text(value)
    if not isinstance(value, dict):
        raise InvalidInputError(_FIELD, f"must be a JSON object, not {type(value).__name__}")
    try:
        return _plain(value)
    except InvalidInputError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(_FIELD, f"cannot be written as JSON: {error}") from None


def _plain(value: dict[str, object]) -> tuple[dict[str, object], str]:
    text = _encode(value)
    if not _is_harmless(text):
        checked_json(_FIELD, value)
        value = _decode_large(text)
        return value, _encode(value)
    if all(type(key) is str and type(one) in _PLAIN for key, one in value.items()):
        return dict(value), text  # nothing in it can be shared, or changed on the way
    return _decode(text), text


def _is_harmless(text: str) -> bool:
    """Tell whether no limit can be met and no character or number needs a closer look."""
    limits = get_settings()
    return (
        len(text) <= limits.MAX_JSON_BYTES
        and text.count("{") + text.count("[") <= limits.MAX_JSON_DEPTH
        and "\\u" not in text
        and "e+" not in text
    )


def _from_text(text: str) -> object:
    max_bytes = get_settings().MAX_JSON_BYTES
    if len(text) > max_bytes:
        raise InvalidInputError(_FIELD, f"is {len(text):,} characters; the limit is {max_bytes:,}")
    try:
        return _decode(text)
    except InvalidInputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(_FIELD, f"is not JSON: {error}") from None


def _number(text: str) -> tuple[str, Decimal]:
    # A tuple, which JSON does not know: else true would equal 1.
    return "number", Decimal(text)


def differing_keys(asked: dict[str, object], there: dict[str, object]) -> list[str]:
    """Return the top-level keys whose values do not mean the same, in the order of their names.

    The order of keys does not matter, nor does the spelling of a number: 1 is 1.0; true is not 1.
    """
    if len(asked) == len(there) and all(
        type(one) in _PLAIN and type(there.get(key)) is type(one) and there.get(key, asked) == one
        for key, one in asked.items()
    ):
        return []  # as nearly always
    texts = [json.dumps(one, sort_keys=True) for one in (asked, there)]
    if texts[0] == texts[1]:
        return []
    meant = [json.loads(text, parse_float=_number, parse_int=_number) for text in texts]
    keys = sorted({*asked, *there})
    missing = object()
    return [key for key in keys if meant[0].get(key, missing) != meant[1].get(key, missing)]
