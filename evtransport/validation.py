"""Validation of arguments: integers, ids and addresses."""

from __future__ import annotations

import math
import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

from yarl import URL

__all__ = ["CONTROL", "connector_number", "http_url", "identifier", "is_loopback"]
__all__ += ["parse_base_url", "path_segment", "validate_int"]

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# yarl reads a port with int(), which accepts digits of any script, signs and underscores.
_PORT = re.compile(r"(:[0-9]*)?(?=[/?#]|\Z)")
_AUTHORITY = re.compile(r"[^/?#]*//(?:[^/?#]*@)?(?:\[[^]/?#]*\]|[^:/?#]*)")
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]+")  # by RFC 3986


def validate_int(name: str, value: object, *, minimum: int, maximum: float = math.inf) -> int:
    """Return `value` if it is an int within a range.

    Args:
        name: Name of the argument, for the message.
        value: Value to check. A bool is not accepted.
        minimum: Smallest allowed value.
        maximum: Largest allowed value.

    Raises:
        ValueError: The value is not an int within the range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        allowed = (
            f"of at least {minimum}" if maximum == math.inf else f"from {minimum} to {maximum}"
        )
        raise ValueError(f"{name} must be an int {allowed}: {value!r}")
    return value


def connector_number(connector_id: str) -> str:
    """Return a connector id without leading zeros: `01` and `1` are one connector."""
    is_number = connector_id.isascii() and connector_id.isdecimal()
    return (connector_id.lstrip("0") or "0") if is_number else connector_id


def path_segment(name: str, value: object) -> str:
    """Check an id and encode it as exactly one path segment, whatever it holds.

    Args:
        name: What the id is, for the message.
        value: The id.

    Raises:
        ValueError: It is no string, is empty or only dots, or holds control characters or half
            of a surrogate pair.
    """
    text = identifier(name, value)
    if not text.strip("."):
        raise ValueError(f"{name} must be more than dots, which a path would swallow: {text!r}")
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def identifier(name: str, value: object) -> str:
    """Check an id that goes into a query or a path.

    Raises:
        ValueError: It is no string, is empty, or holds control characters or half of a
            surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{name} must not be empty")
    if CONTROL.search(value):
        raise ValueError(f"{name} must not hold control characters: {value!r}")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name} must be valid Unicode, without lone surrogates: {value!r}")
    return str.__str__(value)  # an enum's member would be sent by its name elsewhere


def parse_base_url(name: str, value: str | URL) -> URL:
    """Check an address that credentials will be sent to.

    Args:
        name: The setting it came from, for the message.
        value: An absolute URL: https, or plain http to a loopback host.

    Raises:
        ValueError: It is anything else, or carries a user, a password, a query or a fragment.
    """
    url = http_url(value)
    if url is None:
        raise ValueError(f"{name} must be an absolute https URL, such as https://host/path")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(f"{name} must not hold a user or password")
    if url.query_string or url.fragment:
        raise ValueError(f"{name} must end after its path, without query or fragment")
    if url.scheme == "http" and not is_loopback(url):
        raise ValueError(f"{name} must be https, since credentials are sent to it: {url}")
    return url


def http_url(value: str | URL) -> URL | None:
    """Return an absolute http or https URL, None if the value isn't one or its host can't exist."""
    text = str(value)
    try:
        url = URL(value)
    except (TypeError, ValueError):
        return None
    authority = _AUTHORITY.match(text)
    if authority is None or not _PORT.match(text, authority.end()) or CONTROL.search(text):
        return None
    # Resolvers look up the ASCII form of the host.
    host = url.raw_host or ""
    if not authority[0].isascii() and "xn--" not in host:
        return None  # digits or letters of another script only make it look like this host
    is_name = "[" not in authority[0] and _NAME.fullmatch(host)
    known = url.scheme in {"http", "https"}
    return url if known and (is_name or _ip_address(host)) else None


def is_loopback(url: URL) -> bool:
    """Return True if the host is this machine, by name or by address."""
    host = url.raw_host or ""
    address = _ip_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
