"""What a request and a response are, and the pure function that tells a body from an error."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec
from yarl import URL

from evtransport.errors import (
    AuthError,
    MisdirectedResponse,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    ServerError,
    StatusError,
)
from evtransport.retry import is_retryable

__all__ = ["ErrorNames", "Request", "Response", "check_echo", "decipher", "declared_length"]
__all__ += ["one_line", "parse_retry_after", "says_invalid_token"]

T = TypeVar("T")

ErrorNames = Mapping[str, type[StatusError]]
"""The names that a vendor documents for its errors, with the class of each."""

ERROR_BODY_BYTES = 64 * 1024
"""How much of an error's body is kept."""

NAMED_BODY_BYTES = 4 * 1024
"""Documented error names are looked for in bodies up to this size; longer ones say more."""

LONGEST_WAIT = 86_400.0
"""Maximum of `Retry-After` in seconds. A longer wait counts as this one."""

KEPT_HEADERS = ("retry-after", "date", "location", "www-authenticate")
"""Headers of an error that this library reads."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_LENGTH = re.compile(r"[0-9]+")
# Elements of a comma-separated list. The comma after the day of a date does not end an element.
_ELEMENT = re.compile(r"(?:\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,)?[^,]+", re.IGNORECASE)


@attrs.frozen
class Request(Generic[T]):
    """One GET, as a client method describes it.

    Attributes:
        segments: The path below the base URL, each segment percent-encoded already.
        decode: Makes the result from the body; raises `DecodeError` or `SchemaError`.
        query: Names and values, not encoded yet.
        is_retryable: Returns True for failures after which the request is sent again.
    """

    segments: tuple[str, ...]
    decode: Callable[[bytes], T]
    query: tuple[tuple[str, str], ...] = ()
    is_retryable: Callable[[Exception], bool] = is_retryable

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
    redact: Callable[[str], str] = str,
) -> bytes:
    """Tell an answer's body from an error.

    Args:
        response: The answer.
        names: The error names that the vendor documents; one that stands anywhere in a short
            body decides the class, otherwise the status does.
        now: The time as a Unix timestamp, for a `Retry-After` that is a date where the answer
            carries no `Date` of its own.
        subject: Who answered, for the message.
        redact: Masks secrets in the texts that the server states, before they are cut.

    Returns:
        The body of a 200.

    Raises:
        StatusError: For every other status, in the class that fits it.
    """
    if response.status == 200:
        return response.body
    raise failure_of(response, names, now=now, subject=subject, redact=redact)


def failure_of(
    response: Response,
    names: ErrorNames,
    *,
    now: float,
    subject: str,
    redact: Callable[[str], str] = str,
) -> StatusError:
    """Return an answer as an error, whatever its status. Arguments are those of `decipher`."""
    stated, message = _stated_error(response.body, redact)
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


def _stated_error(body: bytes, redact: Callable[[str], str]) -> tuple[str | None, str | None]:
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
        one_line(redact(str(code))) if isinstance(code, str | int) else None,
        one_line(redact(messages[0])) if messages else None,
    )


def check_echo(name: str, asked: str, echoed: str) -> None:
    """Check that an answer belongs to a request. The case of letters does not matter.

    Args:
        name: Name of the id in the answer.
        asked: The id in the request.
        echoed: The id in the answer.

    Raises:
        MisdirectedResponse: The ids differ.
    """
    if echoed.casefold() != asked.casefold():
        difference = f"asked for {name} {asked!r}, got {one_line(repr(echoed))}"
        raise MisdirectedResponse(f"the answer belongs to another request: {difference}")


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
