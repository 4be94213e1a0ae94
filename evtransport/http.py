"""What a request and a response are, and the pure function that tells a body from an error."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec
from yarl import URL

from evtransport.errors import (
    AuthError,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    ServerError,
    StatusError,
)
from evtransport.retry import is_retriable

__all__ = ["ErrorNames", "Request", "Response", "decipher", "parse_base_url", "path_segment"]
__all__ += ["declared_length", "is_loopback", "parse_retry_after", "says_invalid_token"]

T = TypeVar("T")

ErrorNames = Mapping[str, type[StatusError]]
"""The names that a vendor documents for its errors, with the class of each."""

ERROR_BODY_BYTES = 64 * 1024
"""How much of an error's body is kept."""

NAMED_BODY_BYTES = 4 * 1024
"""Documented error names are looked for in bodies up to this size; longer ones say more."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LONGEST_WAIT = 86_400.0
"""Maximum of `Retry-After` in seconds. A longer wait counts as this one."""

KEPT_HEADERS = ("retry-after", "date", "location", "www-authenticate")
"""Headers of an error that this library reads."""

# yarl reads a port with int(), which accepts digits of any script, signs and underscores.
_PORT = re.compile(r"(:[0-9]*)?(?=[/?#]|\Z)")
_AUTHORITY = re.compile(r"[^/?#]*//(?:[^/?#]*@)?(?:\[[^]/?#]*\]|[^:/?#]*)")
_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]+")  # by RFC 3986
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_LENGTH = re.compile(r"[0-9]+")
# Elements of a comma-separated list. The comma after the day of a date does not end an element.
_ELEMENT = re.compile(r"(?:\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,)?[^,]+", re.IGNORECASE)


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


@attrs.frozen
class Request(Generic[T]):
    """One GET, as a client method describes it.

    Attributes:
        segments: The path below the base URL, each segment percent-encoded already.
        decode: Makes the result from the body; raises `DecodeError` or `SchemaError`.
        query: Names and values, not encoded yet.
        is_retriable: Returns True for failures after which the request is sent again.
    """

    segments: tuple[str, ...]
    decode: Callable[[bytes], T]
    query: tuple[tuple[str, str], ...] = ()
    is_retriable: Callable[[Exception], bool] = is_retriable

    def url(self, base: str) -> URL:
        """The whole address below a base URL, encoded once and for all."""
        address = "/".join((base.rstrip("/"), *self.segments))
        if self.query:
            address = f"{address}?{urlencode(self.query, safe='', quote_via=quote)}"
        return URL(address, encoded=True)


@attrs.frozen
class Response:
    """A whole answer, detached from the connection that it came over.

    Attributes:
        status: The HTTP status.
        headers: The headers that matter here, names in lower case.
        body: The decompressed body; of an error, its first 64 KiB.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)


def decipher(
    response: Response,
    names: ErrorNames,
    *,
    now: float,
    subject: str = "the server",
    clean: Callable[[str], str] = str,
) -> bytes:
    """Tell an answer's body from an error.

    Args:
        response: The answer.
        names: The error names that the vendor documents; one that stands anywhere in a short
            body decides the class, otherwise the status does.
        now: The time as a Unix timestamp, for a `Retry-After` that is a date where the answer
            carries no `Date` of its own.
        subject: Who answered, for the message.
        clean: Masks secrets in the texts that the server states, before they are cut.

    Returns:
        The body of a 200.

    Raises:
        StatusError: For every other status, in the class that fits it.
    """
    if response.status == 200:
        return response.body
    raise failure_of(response, names, now=now, subject=subject, clean=clean)


def failure_of(
    response: Response,
    names: ErrorNames,
    *,
    now: float,
    subject: str,
    clean: Callable[[str], str] = str,
) -> StatusError:
    """Return an answer as an error, whatever its status. Arguments are those of `decipher`."""
    stated, message = _stated_error(response.body, clean)
    name = stated if stated in names else _documented_name(response.body, names)
    kind = names[name] if name else _class_of(response.status)
    parts = [f"{subject} answered {response.status}"]
    if code := name or stated:
        parts.append(code)
    if message and message != code:
        parts.append(message)
    if response.status == 204:
        parts.append("a 200 with a JSON body was due")
    if issubclass(kind, RedirectError):
        parts.append(f"a redirect to {_origin(response.headers.get('location', ''))}, not followed")
    return kind(
        ": ".join(parts),
        status=response.status,
        code=code,
        body=response.body,
        retry_after=parse_retry_after(response.headers, now=now),
    )


def says_invalid_token(response: Response) -> bool:
    """Return True if the header or a short body says `invalid_token` (RFC 6750)."""
    stated = response.headers.get("www-authenticate", "")
    return "invalid_token" in stated or (
        len(response.body) <= NAMED_BODY_BYTES and b"invalid_token" in response.body
    )


def declared_length(content_length: str) -> int:
    """Return the number of bytes that a `Content-Length` announces, 0 if it can't be read."""
    digits = content_length.strip()
    if not _LENGTH.fullmatch(digits):
        return 0
    return int(digits) if len(digits) < 19 else sys.maxsize


def parse_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds to wait by the `Retry-After` header (RFC 9110, seconds or a date), None without one.

    A proxy may join several values: the longest wait counts. A wait of more than a day counts as a
    day. A date is compared with the answer's own `Date`, so a client whose clock is wrong still
    waits as long as the server meant.
    """
    sent = _timestamp(headers.get("date", ""))
    since = now if sent is None else sent
    elements = _ELEMENT.findall(headers.get("retry-after", ""))
    waits = [wait for text in elements if (wait := _wait(text.strip(), since)) is not None]
    return min(max(waits), LONGEST_WAIT) if waits else None


def _wait(text: str, since: float) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _timestamp(text)
    return None if until is None else max(0.0, until - since)


def _timestamp(http_date: str) -> float | None:
    try:
        date = parsedate_to_datetime(http_date)
        # RFC 9110 dates are in GMT, also those whose old forms don't say so.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except Exception:  # the parser raises errors of many types for malformed dates
        return None


def _class_of(status: int) -> type[StatusError]:
    if 300 <= status < 400:
        return RedirectError
    if status >= 500:
        return ServerError
    return {401: AuthError, 403: AuthError, 404: NotFoundError, 429: RateLimitedError}.get(
        status, StatusError
    )


def _documented_name(body: bytes, names: ErrorNames) -> str | None:
    if len(body) > NAMED_BODY_BYTES or not names:
        return None
    found = re.search(rb"\b(?:%s)\b" % "|".join(names).encode(), body)
    return found.group().decode() if found else None


def _stated_error(body: bytes, clean: Callable[[str], str]) -> tuple[str | None, str | None]:
    """The code and message that a body states: by itself, in `error`, or in JSON:API `errors`."""
    try:
        stated = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    if not isinstance(stated, dict):
        return None, None
    inner = stated.get("errors") or stated.get("error")
    first = inner[0] if isinstance(inner, list) and inner else inner
    error = first if isinstance(first, dict) else stated
    code = error.get("code", stated.get("error"))
    names = ("message", "Message", "detail", "title", "error_description")
    messages = [error[name] for name in names if isinstance(error.get(name), str)]
    return (
        one_line(clean(str(code))) if isinstance(code, str | int) else None,
        one_line(clean(messages[0])) if messages else None,
    )


def one_line(text: str) -> str:
    """A server's words, fit for an error message."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]}..."


def _origin(location: str) -> str:
    """Return the target of a redirect without path and query, which may hold secrets."""
    try:
        url = URL(location)
        scheme = f"{url.scheme}:" if url.scheme else ""
        origin = f"{scheme}//{url.host_port_subcomponent}" if url.absolute else "the same host"
    except Exception:  # yarl parses lazily and raises errors of many types for malformed URLs
        origin = "an address that can't be read"
    return origin
