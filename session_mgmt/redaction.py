"""Take secrets out of a text that reports a failure, before it is stored or logged.

What a handler raises can hold anything: the address of a service with its password, a header, a
key of the project. Nobody can promise to find all of them; what is known or looks like one goes.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Final

from session_mgmt.conf import secrets

if TYPE_CHECKING:
    import logging

__all__ = ["log_error", "redacted"]

_STARS: Final = "********"
_LONGEST: Final = 100_000
# Repetitions are bounded, or a long text would take a time that grows with its square.
_NAMES: Final = (
    r"(?:(?<![a-z])(?:pass|pwd|sig)(?![a-z])|passw(?:or)?d|passphrase|secret|signature"
    r"|(?:api|access|private)[_-]?key|credential|cookie|sessionid)"
)
_IS: Final = r"""[\w-]{0,40}(?:\\?["']?\s*(?:=>|[:=])\s*\[?|["'],\s*(?=["']))"""
_VALUE: Final = (
    r"""(?:[bu]?\\?"(?:[^"\\]|\\.){0,2000}\\?"|[bu]?\\?'(?:[^'\\]|\\.){0,2000}\\?'"""
    r"""|[^\s"',;&)}\]]+)"""
)
_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<before>{_NAMES}{_IS}){_VALUE}",
        # "max tokens: 4096" tells a number, not a secret.
        rf"(?P<before>tokens?{_IS})(?!\d{{1,9}}(?:[\s,;)}}\]]|$)){_VALUE}",
        r"(?P<before>\bpassword\s+)'[^']{0,500}'",
        r"""(?P<before>\bauthorization["']?\s*[:=,]\s*)["']?(?:\w+\s+)?[^\s"',;]+""",
        r"(?P<before>\b(?:bearer|basic)\s+)(?=\S{0,200}(?-i:[0-9A-Z=_]))[\w.~+/=-]{8,}",
        # scheme://user:password@host
        r"""(?P<before>\b[a-z][a-z0-9+.-]{0,20}://)[^\s"'<>]{1,500}(?=@)""",
        r"(?P<before>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[\s\S]{0,10000}?(?=-----END|\Z)",
        r"(?P<before>\b)eyJ[\w-]{8,4000}\.[\w-]{8,4000}\.[\w-]{4,4000}",
        r"(?P<before>\b)(?:gh[pousr]_|github_pat_|sk-|xox[abp]-|AKIA)[\w-]{10,200}",
        # PostgreSQL quotes the row that it refused.
        r"(?P<before>\bDETAIL:\s)(?:[^\n]|\n(?!\s*(?:HINT|CONTEXT|LINE \d|Traceback|The above"
        r"|During|\n))){0,20000}",
    )
)


def redacted(text: str) -> str:
    """Return the text with stars in place of secrets, and without its middle if it is very long.

    Those are the values of settings whose names say so, passwords in addresses, credentials in
    headers, keys and tokens of well-known forms, what follows a name such as `password=` or
    `"api_key":`, and the rows that PostgreSQL quotes.
    """
    for secret in secrets():
        text = text.replace(secret, _STARS)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n…\n{text[-_LONGEST // 2 :]}"
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<before>{_STARS}", text)
    return text


def log_error(logger: logging.Logger, error: BaseException, message: str, *values: object) -> None:
    """Log a message as an error, with the traceback but without the secrets in it."""
    text = redacted("".join(traceback.format_exception(error)))
    logger.error(f"{message}\n%s", *values, text)  # noqa: G004 # ours, and its values come apart
