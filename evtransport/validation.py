"""Validation of arguments: integers, ids and addresses."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

from yarl import URL

__all__ = ["CONTROL", "encode_segment", "is_loopback", "normalize_connector_id", "parse_base_url"]
__all__ += ["parse_http_url", "require_unicode", "validate_bool", "validate_id", "validate_int"]
__all__ += ["validate_interval"]

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# yarl reads a port with int(), which accepts digits of any script, signs and underscores.
_PORT = re.compile(r"(:[0-9]*)?(?=[/?#]|\Z)")
_AUTHORITY = re.compile(r"[^/?#]*//(?:[^/?#]*@)?(?:\[[^]/?#]*\]|[^:/?#]*)")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]+")  # by RFC 3986


def validate_bool(name: str, value: object) -> bool:
    """Return `value` if it is a bool.

    Args:
        name: Name of the argument, used in the message.
        value: Value to check.

    Raises:
        ValueError: The value is not a bool.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


def validate_int(name: str, value: object, *, minimum: int, maximum: float = math.inf) -> int:
    """Return `value` if it is an int within a range.

    Args:
        name: Name of the argument, used in the message.
        value: Value to check. A bool is not accepted.
        minimum: Smallest allowed value.
        maximum: Largest allowed value.

    Raises:
        ValueError: The value is not an int within the range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        allowed = f">= {minimum}" if maximum == math.inf else f"from {minimum} to {maximum}"
        raise ValueError(f"{name} must be an int {allowed}, got {value!r}")
    return value


def validate_interval(name: str, value: object) -> timedelta:
    """Return `value` if it is a time between repeated requests.

    Args:
        name: Name of the argument, used in the message.
        value: Value to check.

    Raises:
        ValueError: The value is not a timedelta greater than 0, up to 366 days.
    """
    if not isinstance(value, timedelta) or not timedelta() < value <= timedelta(days=366):
        raise ValueError(
            f"{name} must be a timedelta greater than 0, such as timedelta(minutes=1), and at most"
            f" 366 days, got {value!r}"
        )
    return value


def normalize_connector_id(connector_id: str) -> str:
    """Return a connector id without leading zeros: `01` and `1` are one connector."""
    is_number = connector_id.isascii() and connector_id.isdecimal()
    return (connector_id.lstrip("0") or "0") if is_number else connector_id


def encode_segment(name: str, value: object) -> str:
    """Return an id as exactly one percent-encoded path segment.

    Args:
        name: Name of the id, used in the message.
        value: Id to encode.

    Raises:
        ValueError: `validate_id` rejects the id, or it consists only of dots.
    """
    text = validate_id(name, value)
    if not text.strip("."):
        raise ValueError(f"{name} must not consist only of dots, which change a path, got {text!r}")
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def validate_id(name: str, value: object) -> str:
    """Return `value` if it can be an id in a query or a path.

    Raises:
        ValueError: The value is not a string, is blank, or holds control characters or lone
            surrogates.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{name} must not be empty")
    if CONTROL.search(value):
        raise ValueError(f"{name} must not contain control characters, got {value!r}")
    return require_unicode(name, value)


def require_unicode(name: str, value: str) -> str:
    """Return a string as a plain `str` if it can be encoded.

    Raises:
        ValueError: The text holds lone surrogates.
    """
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name} must be valid Unicode, without lone surrogates, got {value!r}")
    return str.__str__(value)  # str() of an enum member is its name


def parse_base_url(name: str, value: str | URL) -> URL:
    """Return an address that may receive credentials: https, or plain http to a loopback host.

    Args:
        name: Name of the setting, used in the message.
        value: Absolute URL.

    Raises:
        ValueError: The URL is not absolute, not https, or has a user, password, query or fragment.
    """
    url = parse_http_url(value)
    if url is None:
        raise ValueError(f"{name} must be an absolute https URL, such as https://host/path")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(f"{name} must not contain a user or password")
    if url.query_string or url.fragment:
        raise ValueError(f"{name} must not have a query or fragment")
    if url.scheme == "http" and not is_loopback(url):
        raise ValueError(f"{name} must be https, because it receives credentials, got {url}")
    return url


def parse_http_url(value: str | URL) -> URL | None:
    """Return an absolute http or https URL, or None if it is not one or its host can't exist."""
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
        return None  # digits or letters of another script only look like this host
    is_name = "[" not in authority[0] and _HOST_NAME.fullmatch(host)
    is_http = url.scheme in {"http", "https"}
    return url if is_http and (is_name or _parse_ip_address(host)) else None


def is_loopback(url: URL) -> bool:
    """Return True if the host is this machine, by name or by address."""
    host = url.raw_host or ""
    address = _parse_ip_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _parse_ip_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
