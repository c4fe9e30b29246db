"""Find where the database is in environment variables, and say what is wrong with that.

No message, and no exception behind one, holds the URL: the password is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SWITCHES", "VARIABLES", "find_address"]

_URLS: Final = ("DATABASE_URL", "POSTGRES_URI")
_REQUIRED: Final = ("POSTGRES_HOST", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DATABASE")
_PORT: Final = "POSTGRES_PORT"
VARIABLES: Final = (*_URLS, *_REQUIRED, _PORT)

SWITCHES: Final = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip

_POSTGRES: Final = {"postgres", "postgresql", "psql", "pgsql", "postgis"}
_POSTGRES_FORM: Final = (
    "Write postgres://USER:PASSWORD@HOST:5432/DATABASE; in each of the four, percent-encode what "
    "is no letter, digit, '-', '.', '_' or '~'. A socket's folder is given as ?host=/its/path"
)
_SQLITE_FORM: Final = "Write sqlite:///relative.db, sqlite:////absolute.db or sqlite://:memory:"
_BLANK_OR_BAD_PERCENT: Final = re.compile(r"[\x00-\x20\x7f\s]|%(?![0-9A-Fa-f]{2})|%00")
_HOST_AND_PORT: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:%]*)(?::([0-9]*))?")


def find_address(variables: Mapping[str, str], default: str | None) -> dict[str, Any]:
    """Return the address as Django wants it in `DATABASES`, with nothing about a pool.

    Args:
        variables: the environment; a variable that is empty counts as not set, except
            POSTGRES_PASSWORD, whose empty value says that the server asks for none.
        default: the URL to use when no variable is set.

    Raises:
        ImproperlyConfigured: nothing is set, or something is missing or wrong; it is named.
    """
    for source in _URLS:
        if url := variables.get(source):
            return _from_url(source, url)
    if any(variables.get(part) for part in (*_REQUIRED, _PORT)):
        return _from_parts(variables)
    if default:
        return _from_url("The default of database_config", default)
    raise ImproperlyConfigured(
        f"No database is configured: set DATABASE_URL, or POSTGRES_URI, or {', '.join(_REQUIRED)} "
        f"(and {_PORT} if it is not 5432), or give database_config a default"
    )


def _from_parts(variables: Mapping[str, str]) -> dict[str, Any]:
    missing = [
        part
        for part in _REQUIRED
        if not variables.get(part) and not (part == "POSTGRES_PASSWORD" and part in variables)
    ]
    if missing:
        raise ImproperlyConfigured(
            f"{', '.join(missing)} must be set as well, or DATABASE_URL instead of all POSTGRES_*; "
            "for a server that asks for no password let POSTGRES_PASSWORD be empty"
        )
    port = variables.get(_PORT) or "5432"
    if not _is_port(port):
        raise ImproperlyConfigured(f"{_PORT} must be a number from 1 to 65535")
    host, user, password, name = (variables[part] for part in _REQUIRED)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": host,
        "PORT": int(port),
        "USER": user,
        "PASSWORD": password,
        "NAME": name,
        "OPTIONS": {},
    }


def _from_url(source: str, url: str) -> dict[str, Any]:
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in {*_POSTGRES, "sqlite"}:
        raise ImproperlyConfigured(
            f"{source} must be the URL of a PostgreSQL or an SQLite database. "
            f"{_POSTGRES_FORM}. {_SQLITE_FORM}"
        )
    if scheme == "sqlite":
        problem = "" if rest in {"", ":memory:"} or rest.startswith("/") else "names a host"
    else:
        problem = _postgres_problem(url)
    entry = None if problem else _parsed(url)
    # Raised here, where no exception is being handled that could carry the URL along.
    if entry is None:
        form = _SQLITE_FORM if scheme == "sqlite" else _POSTGRES_FORM
        raise ImproperlyConfigured(f"{source} {problem or 'cannot be understood'}. {form}")
    return _with_typed_options(source, url, entry)


def _postgres_problem(url: str) -> str:
    """Say what makes the URL mean something else than its author thinks; empty if nothing does.

    Most often that is a password with a character that divides URLs.
    """
    if _BLANK_OR_BAD_PERCENT.search(url):
        return "has a space, or a '%' that begins no encoded character"
    try:
        parts = urlsplit(url)
        unquote(url, errors="strict")
        if parts.query:
            parse_qsl(parts.query, strict_parsing=True)
    except ValueError:
        return "has a bracket, an encoded character or a parameter that is not well-formed"
    hosts = [_HOST_AND_PORT.fullmatch(host) for host in parts.netloc.rpartition("@")[2].split(",")]
    if not all(host and (not host[1] or _is_port(host[1])) for host in hosts):
        return "has a host or a port that is none"
    path = parts.path.removeprefix("/")
    # A second slash at the beginning is environ's way to name a socket.
    if parts.fragment or "@" in path or ("/" in path and not path.startswith("/")):
        return "has a '/', '@', '?' or '#' inside the user, the password or the database's name"
    if not path.rpartition("/")[2] and "service=" not in parts.query:
        return "names no database"
    return ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 2**16


def _parsed(url: str) -> dict[str, Any] | None:
    try:
        import environ
    except ImportError:
        raise ImproperlyConfigured(
            "To read a database URL, pip install 'django-session-mgmt[env]'"
        ) from None
    try:
        entry: dict[str, Any] = environ.Env.db_url_config(url)
    except Exception:  # whatever it says, it may quote the password
        return None
    return entry


def _with_typed_options(source: str, url: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Undo what environ does to parameters: "007" is no number, and "false" is no true text."""
    texts = dict(reversed(parse_qsl(url.partition("?")[2])))  # environ, too, takes the first
    options = entry.get("OPTIONS", {})
    entry["OPTIONS"] = {
        name: value if str(value) == texts.get(name) else texts.get(name, value)
        for name, value in options.items()
    }
    for name in (
        "ATOMIC_REQUESTS",
        "AUTOCOMMIT",
        "CONN_HEALTH_CHECKS",
        "DISABLE_SERVER_SIDE_CURSORS",
    ):
        if name in entry:
            switch = SWITCHES.get(str(entry[name]).lower())
            if switch is None:
                raise ImproperlyConfigured(
                    f"{source} has {name.lower()}, which must be true or false"
                )
            entry[name] = switch
    return entry
