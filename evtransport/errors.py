"""Every error that a call can end with, as one tree under `ApiError`.

Wrong arguments are no part of it: they are a `ValueError`, raised before anything is sent.
No error here holds a credential, a request header or an object of the HTTP library.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evtransport.paging.cursor import Cursor

__all__ = [
    "ApiError",
    "AuthError",
    "ConnectionFailed",
    "DeadlineExceeded",
    "DecodeError",
    "MisdirectedResponse",
    "NotFoundError",
    "PaginationError",
    "RateLimitedError",
    "RedirectError",
    "ResponseError",
    "ResponseTooLarge",
    "SchemaError",
    "ServerError",
    "StatusError",
    "TransportError",
]


class ApiError(Exception):
    """The root of all errors that a call can end with.

    Attributes:
        attempts: How many requests this call put on the wire (0 where none was sent).
        cursor: Where the walk stood when the error came out of it: the position after the last
            report that was delivered, ready for `resume=`. None outside a walk.
    """

    attempts: int = 0
    cursor: Cursor | None = None
    # It happened to another call, which this one has waited for without sending anything itself.
    borrowed: bool = False

    def redact(self, change: Callable[[str], str]) -> None:
        """Put every text that a server had a part in through `change`."""
        self.args = tuple(change(arg) if isinstance(arg, str) else arg for arg in self.args)

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls __init__ with `args` alone, which subclasses with more arguments
        # refuse; an error must survive the way back from a worker process.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class TransportError(ApiError):
    """No whole answer arrived."""


class ConnectionFailed(TransportError):
    """The connection was refused, timed out, broke off, or spoke no HTTP.

    The server may have seen the request.
    """


class DeadlineExceeded(TransportError):
    """The call did not end within `Timeout.total` seconds, waits and retries included."""


class StatusError(ApiError):
    """The server answered with another status than 200.

    Attributes:
        status: The HTTP status.
        code: The name that the vendor's body gives the error, where one was found.
        body: The first 64 KiB of the answer's body, credentials masked.
        retry_after: Seconds that the server asked to wait, at most 86,400; None if it did not.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        body: bytes = b"",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body = body
        self.retry_after = retry_after

    def redact(self, change: Callable[[str], str]) -> None:
        """As of all errors, and the code as well."""
        super().redact(change)
        self.code = None if self.code is None else change(self.code)


class RedirectError(StatusError):
    """The server answered with a redirect, which is never followed.

    Following it would hand the credentials on.
    """


class AuthError(StatusError):
    """The credentials were refused (401, 403, or a token request that was turned down)."""


class NotFoundError(StatusError):
    """There is no such thing (404)."""


class RateLimitedError(StatusError):
    """Too many requests (429)."""


class ServerError(StatusError):
    """The server failed (5xx)."""


class ResponseError(ApiError):
    """A whole answer arrived and is not what it should be."""


class DecodeError(ResponseError):
    """The body is not JSON in UTF-8."""


MAX_PROBLEMS = 100
"""Maximum number of problems that a `SchemaError` names."""


class SchemaError(ResponseError):
    """The body is JSON, of another shape than the vendor documents.

    Attributes:
        problems: One line for every bad field, such as
            `$.items[3].sessionMeterValues[17].value: expected float, got str`. At most 100 are
            named. A last line such as `and 12 more` stands for others.
    """

    def __init__(self, problems: Sequence[str], *, complete: bool = True) -> None:
        """Create the error.

        Args:
            problems: One line for every bad field, at least one.
            complete: False if there may be more problems.
        """
        named, others = tuple(problems[:MAX_PROBLEMS]), len(problems) - MAX_PROBLEMS
        rest = f"and {others:,} more" if others > 0 else ""
        hidden = f"and {len(problems) - 1:,} more" if len(problems) > 1 else ""
        if not complete:
            rest = hidden = "and more" if others > 0 else "and perhaps more"
        super().__init__(f"{named[0]} ({hidden})" if hidden else named[0])
        self.problems: tuple[str, ...] = (*named, rest) if rest else named


class MisdirectedResponse(ResponseError):
    """The answer belongs to another request, by what it says of itself.

    The connections in use by then are not used for further requests.
    """


class ResponseTooLarge(ResponseError):
    """The body is larger than `max_response_bytes`; the connection was closed on it."""


class PaginationError(ApiError):
    """The server's pages contradict each other, so that going on would lose or repeat reports."""
