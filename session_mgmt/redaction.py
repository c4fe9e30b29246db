"""Take secrets out of a text that reports a failure, before it is stored or logged.

What a handler raises can hold anything: the address of a service with its password, a header, a
key of the project. Nobody can promise to find all of them; what is known or looks like one goes.
"""

from __future__ import annotations

import re
from typing import Final

from session_mgmt.conf import secrets

__all__ = ["redacted"]

_STARS: Final = "********"
# Lengths are bounded, or a long text without blanks would take a time that grows with its square.
_PATTERNS: Final = (
    # scheme://user:password@host
    re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,100}:)[^\s/@]{1,200}(?=@)", re.I),
    re.compile(r"(?P<before>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.I),
    # password=..., "api_key": "...", X-Token: ...
    re.compile(
        r"""(?P<before>(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key
        |private[_-]?key|signature|credentials?)[\w-]{0,40}["']?\s*[:=]\s*)
        (?!\d{1,9}\b)  # a count of tokens
        (?:"[^"]*"|'[^']*'|[^\s"',;&)}\]]+)""",
        re.I | re.VERBOSE,
    ),
)


def redacted(text: str) -> str:
    """Return the text with stars in place of secrets.

    Those are the values of settings whose names say so, passwords in addresses, credentials in
    headers, and what follows a name such as `password=` or `"api_key":`.
    """
    for secret in secrets():
        text = text.replace(secret, _STARS)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<before>{_STARS}", text)
    return text
