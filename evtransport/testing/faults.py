"""Faults of a sandbox, and the responses that they change."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Literal

import attrs
import msgspec

from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RETRYABLE", "Fault", "SandboxResponse", "validate_number"]

# Sizes of zlib's window. 16 more select the format of gzip.
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS + 16, "deflate": zlib.MAX_WBITS}
_MAINTENANCE_PAGE = b"<!doctype html><html><body><h1>Please come back later</h1></body></html>"


def validate_number(
    name: str, value: object, *, minimum: float = 0, maximum: float = math.inf
) -> None:
    """Raise ValueError unless `value` is a finite number (no bool) from `minimum` to `maximum`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and minimum <= value <= maximum and value < math.inf):  # type: ignore[operator]
        allowed = f"number from {minimum} to {maximum}"
        allowed = f"finite number >= {minimum}" if maximum == math.inf else allowed
        raise ValueError(f"{name} must be a {allowed}, got {value!r}")


@attrs.frozen
class Fault:
    """One way in which a response goes wrong. Create it with a class method.

    Example:
        >>> from depotclient.sandbox import DepotSandbox, Fault
        >>> faults = [Fault.status(429, retry_after=2), None, Fault.truncate()]
        >>> sandbox = DepotSandbox(faults=faults)
    """

    kind: Literal["status", "disconnect", "truncate", "stall", "html", "garbage", "bad_utf8"]
    code: int = 200
    retry_after: float | str | None = None
    body: bytes = attrs.field(default=b"", repr=False)
    seconds: float = 0.0

    @classmethod
    def status(
        cls, code: int, *, retry_after: float | str | None = None, body: bytes | str | None = None
    ) -> Fault:
        """Respond with the status `code`.

        Args:
            code: HTTP status from 200 to 599.
            retry_after: Header `Retry-After`: seconds, or an HTTP date. None omits it.
            body: Response body. The default is a JSON object with a `message`, or nothing for 204
                and 304.

        Raises:
            ValueError: `code` is out of range.
        """
        validate_int("code", code, minimum=200, maximum=599)
        if body is None:
            body = "" if code in {204, 304} else '{"message": "a fault of the sandbox"}'
        raw = body.encode() if isinstance(body, str) else body
        return cls("status", code=code, retry_after=retry_after, body=raw)

    @classmethod
    def disconnect(cls) -> Fault:
        """Close the connection before the response headers."""
        return cls("disconnect")

    @classmethod
    def truncate(cls) -> Fault:
        """Announce the whole body in `Content-Length`, send half of it and close."""
        return cls("truncate")

    @classmethod
    def stall(cls, seconds: float) -> Fault:
        """Delay the response by `seconds` (not negative, else ValueError)."""
        validate_number("seconds", seconds)
        return cls("stall", seconds=seconds)

    @classmethod
    def html(cls) -> Fault:
        """Respond with status 200 and an HTML page, as a proxy does."""
        return cls("html")

    @classmethod
    def garbage(cls) -> Fault:
        """Respond with status 200, half of the JSON body and a matching `Content-Length`."""
        return cls("garbage")

    @classmethod
    def bad_utf8(cls) -> Fault:
        """Respond with status 200 and a byte that is not UTF-8 in the last string of the body."""
        return cls("bad_utf8")


RETRYABLE: tuple[Fault, ...] = (
    *(Fault.status(code) for code in (408, 500, 502, 503, 504)),
    *(Fault.status(429, retry_after=0), Fault.disconnect(), Fault.truncate()),
    *(Fault.html(), Fault.garbage(), Fault.bad_utf8()),
)
"""Faults after which a retry succeeds."""


@attrs.frozen
class SandboxResponse:
    """HTTP response of a sandbox.

    Attributes:
        sent: Number of body bytes to send before the connection closes. None sends all.
        encoding: Encoding in which the body is sent, "gzip" or "deflate". None sends it as it is.
        seconds: Time that sending the body takes.

    Example:
        >>> SandboxResponse.json({"message": "busy"}, 503).status
        503
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    sent: int | None = None
    encoding: str | None = None
    seconds: float = 0.0

    @classmethod
    def json(cls, payload: object, status: int = 200) -> SandboxResponse:
        """Return a response with the payload as JSON."""
        return cls(msgspec.json.encode(payload), status)

    def compressed(self) -> SandboxResponse:
        """Return this response with its body in `encoding`. A part to be sent stays that part."""
        if self.encoding is None:
            return self
        packer = zlib.compressobj(level=1, wbits=_WINDOW_BITS[self.encoding])
        body = packer.compress(self.body) + packer.flush()
        sent = None if self.sent is None else len(body) * self.sent // max(1, len(self.body))
        headers = {**self.headers, "Content-Encoding": self.encoding}
        return attrs.evolve(self, body=body, sent=sent, headers=headers, encoding=None)

    def apply_fault(self, fault: Fault | None) -> SandboxResponse | None:
        """Return this response changed by a fault. None means no response at all."""
        if fault is None:
            return self
        match fault.kind:
            case "status":
                wait = fault.retry_after
                headers = {} if wait is None else {"Retry-After": str(wait)}
                return SandboxResponse(fault.body, fault.code, headers=headers)
            case "disconnect":
                return None
            case "truncate":
                return attrs.evolve(self, sent=len(self.body) // 2)
            case "html":
                return SandboxResponse(_MAINTENANCE_PAGE, content_type="text/html")
            case "garbage":
                return SandboxResponse(self.body[: len(self.body) // 2])
            case "bad_utf8":
                before, quote, after = self.body.rpartition(b'"')
                return SandboxResponse(b"".join((before, b"\xff", quote, after)))
            case _:  # A stall only delays.
                return self
