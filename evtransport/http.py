"""HTTP requests and responses as values, and the error that a response means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec
from yarl import URL

from evtransport.errors import (
    ApiError,
    AuthError,
    MisdirectedResponse,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    ServerError,
    StatusError,
)
from evtransport.retry import is_retryable
from evtransport.validation import parse_http_url

__all__ = ["ErrorNames", "Request", "Response", "build_status_error", "check_echo"]
__all__ += ["names_invalid_token", "parse_retry_after", "shorten"]

T = TypeVar("T")

ErrorNames = Mapping[str, type[StatusError]]
"""Error names that a vendor documents, with the class of each."""

ERROR_BODY_BYTES = 64 * 1024
"""Number of bytes of an error's body that are kept."""

NAMED_BODY_BYTES = 4 * 1024
"""Maximum size of a body in which error names are searched. Longer bodies may just quote them."""

MAX_RETRY_AFTER = 86_400.0
"""Maximum of `Retry-After` in seconds. Longer waits are reduced to it."""

KEPT_HEADERS = ("retry-after", "date", "location", "www-authenticate")
"""Headers of an error that this library reads."""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_CLASSES = {401: AuthError, 403: AuthError, 404: NotFoundError, 429: RateLimitedError}
_MESSAGE_NAMES = ("message", "Message", "detail", "title", "error_description")


@attrs.frozen
class Request(Generic[T]):
    """GET request of a client method.

    Attributes:
        segments: Path below the base URL. Each segment is already percent-encoded.
        decode: Returns the result for a body, or raises `DecodeError` or `SchemaError`.
        query: Names and values, not yet encoded.
        is_retryable: Returns True for errors after which the request may be sent again.
        ids: Names and values of the ids in the path, for errors.
        title: Short form of path and ids, for messages. If empty, messages show the path.
        template: Path without ids, such as `/analytics/{chargebox_id}`, for telemetry. Empty if
            unknown.
    """

    segments: tuple[str, ...]
    decode: Callable[[bytes], T]
    query: tuple[tuple[str, str], ...] = ()
    is_retryable: Callable[[Exception], bool] = is_retryable
    ids: tuple[tuple[str, str], ...] = ()
    title: str = ""
    template: str = ""

    @property
    def path(self) -> str:
        """Path below the base URL, percent-encoded."""
        return "/".join(self.segments)

    @property
    def label(self) -> str:
        """Short name of the request, such as `GET sessionReports CP-001/1 page 3`."""
        return f"GET {self.title or self.path}"

    @property
    def context(self) -> dict[str, str]:
        """Ids and query parameters."""
        return dict((*self.ids, *self.query))

    def describe(self, error: ApiError) -> None:
        """Set the attributes of an error that name this request."""
        error.method, error.path, error.label = "GET", self.path, self.label
        error.context = self.context

    def url(self, base: str) -> URL:
        """Return the encoded URL below a base URL."""
        address = f"{base.rstrip('/')}/{self.path}"
        if self.query:
            address = f"{address}?{urlencode(self.query, safe='', quote_via=quote)}"
        return URL(address, encoded=True)


@attrs.frozen
class Response:
    """Complete response, independent of its connection.

    Attributes:
        status: HTTP status.
        headers: The `KEPT_HEADERS` of an error, names in lower case.
        body: Decompressed body, or the first 64 KiB of an error's body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)


def build_status_error(
    response: Response,
    names: ErrorNames,
    *,
    now: float,
    redact: Callable[[str], str] = str,
) -> StatusError:
    """Return the error that a response means.

    Args:
        response: Response of any status.
        names: Error names that the vendor documents. A name in a short body decides the class
            of the error. Otherwise the status decides.
        now: Unix time, for a `Retry-After` that is a date in a response without a `Date`.
        redact: Masks secrets in the server's texts. Applied before texts are shortened.
    """
    code, message = _find_code_and_message(response.body, redact)
    if code not in names:
        code = _find_documented_name(response.body, names) or code
    kind = names.get(code or "") or _class_of(response.status)
    phrase = _phrase_of(response.status)
    title = phrase if code is None or code.isdecimal() else code
    details = dict.fromkeys((code, message))
    parts = [
        f"{response.status} {title}".strip(),
        *(text for text in details if text not in {title, str(response.status)}),
    ]
    if response.status == 204:
        parts.append("expected a 200 with a JSON body")
    if issubclass(kind, RedirectError):
        target = parse_http_url(response.headers.get("location", ""))
        origin = target.origin() if target else "another address"
        parts.append(f"a redirect to {origin}, not followed")  # path and query may hold secrets
    return kind(
        ": ".join(filter(None, parts)),
        status=response.status,
        code=code,
        body=response.body,
        retry_after=parse_retry_after(response.headers, now=now),
    )


def names_invalid_token(response: Response) -> bool:
    """Return True if the header or a short body names the error `invalid_token` (RFC 6750)."""
    if "invalid_token" in response.headers.get("www-authenticate", ""):
        return True
    return len(response.body) <= NAMED_BODY_BYTES and b"invalid_token" in response.body


def parse_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds to wait from the `Retry-After` header (RFC 9110), or None without one.

    A proxy may join several values: the longest wait counts, up to a day. A date is compared with
    the `Date` of the response, so a wrong clock of the client does not matter.
    """
    sent = _parse_date(headers.get("date", ""))
    since = now if sent is None else sent
    # The split separates the weekday from a date. The rest is still a valid date.
    elements = headers.get("retry-after", "").split(",")
    waits = [wait for text in elements if (wait := _parse_wait(text.strip(), since)) is not None]
    return min(max(waits), MAX_RETRY_AFTER) if waits else None


def check_echo(name: str, requested: str, echoed: str) -> None:
    """Check that a response belongs to a request. The case of letters does not matter.

    Args:
        name: Name of the id in the response.
        requested: Id in the request.
        echoed: Id in the response.

    Raises:
        MisdirectedResponse: The ids differ.
    """
    if echoed.casefold() != requested.casefold():
        raise MisdirectedResponse(
            f"the response belongs to another request: requested {name} {requested!r},"
            f" got {shorten(repr(echoed))}"
        )


def shorten(text: str) -> str:
    """Return a server's text on one line of at most 200 characters, for an error message."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]}..."


def _parse_wait(text: str, since: float) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _parse_date(text)
    return None if until is None else max(0.0, until - since)


def _parse_date(http_date: str) -> float | None:
    try:
        date = parsedate_to_datetime(http_date)
        # RFC 9110 dates are in GMT, even in the old forms that do not name a zone.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _class_of(status: int) -> type[StatusError]:
    if 300 <= status < 400:
        return RedirectError
    return ServerError if status >= 500 else _CLASSES.get(status, StatusError)


def _phrase_of(status: int) -> str:
    """Return the standard phrase of a status, such as `Not Found`. Empty if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _find_documented_name(body: bytes, names: ErrorNames) -> str | None:
    if len(body) > NAMED_BODY_BYTES or not names:
        return None
    found = re.search(rb"\b(?:%s)\b" % "|".join(names).encode(), body)
    return found.group().decode() if found else None


def _find_code_and_message(
    body: bytes, redact: Callable[[str], str]
) -> tuple[str | None, str | None]:
    """Return the error's code and message in a JSON body.

    They are in the object itself, in its `error`, or in the first of its JSON:API `errors`.
    """
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    if not isinstance(content, dict):
        return None, None
    inner = content.get("errors") or content.get("error")
    first = inner[0] if isinstance(inner, list) and inner else inner
    error = first if isinstance(first, dict) else content
    code = error.get("code", content.get("error"))
    messages = [error[name] for name in _MESSAGE_NAMES if isinstance(error.get(name), str)]
    return (
        shorten(redact(str(code))) if isinstance(code, str | int) else None,
        shorten(redact(messages[0])) if messages else None,
    )
