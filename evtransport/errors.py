"""Errors of a call, as one tree under `ApiError`.

Invalid arguments raise `ValueError` before anything is sent.
No error holds a credential, a request header or an object of the HTTP library.
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
    """Base class of all errors of a call.

    `str(error)` names the request, the reason, and what the call cost:
    `GET sessionReports CP-001/1 page 3: 503 Service Unavailable (3 attempts, 4.1 s)`.
    The attributes that name the request are those of the call, even if its token request failed.
    Outside a call, they are empty.

    Attributes:
        method: HTTP method of the call, `GET`.
        path: Path below the base URL, percent-encoded, such as `sessionReports`.
        context: Ids and query parameters of the request, with the names that the vendor uses.
        label: Short name of the request, such as `GET sessionReports CP-001/1 page 3`.
        attempts: Number of requests that this call sent.
        elapsed: Seconds from the start of the call to the error.
        source: `the token URL` or `the token function` if the request for a token failed. Else
            empty.
        hint: Credential to check and its environment variable, after the API rejected it.
        cursor: Position after the last report that the walk delivered, for `resume=`. None
            outside a walk.

    Example:
        >>> error = ConnectionFailed("connection reset")
        >>> error.label, error.attempts, error.elapsed = "GET analytics/CB-1", 3, 4.08
        >>> str(error)
        'GET analytics/CB-1: connection reset (3 attempts, 4.1 s)'
    """

    method: str = ""
    path: str = ""
    label: str = ""
    attempts: int = 0
    elapsed: float = 0.0
    source: str = ""
    hint: str = ""
    cursor: Cursor | None = None
    # True if another call sent the failed request, and this call only waited for the outcome.
    shared: bool = False

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.context: dict[str, str] = {}

    @property
    def reason(self) -> str:
        """Reason alone, without the request, such as `503 Service Unavailable`."""
        return super().__str__()

    def __str__(self) -> str:
        parts = ": ".join(filter(None, (self.label, self.source, self.reason)))
        text = "; ".join(filter(None, (parts, self.hint)))
        if not (self.attempts or self.elapsed):
            return text
        plural = "" if self.attempts == 1 else "s"
        return f"{text} ({self.attempts} attempt{plural}, {self.elapsed:.1f} s)"

    def redact(self, redact: Callable[[str], str]) -> None:
        """Replace each text that may quote the server or the caller with its redacted form."""
        self.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in self.args)
        self.path, self.label = redact(self.path), redact(self.label)
        self.context = {redact(name): redact(value) for name, value in self.context.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes pickle errors. The default calls __init__ with `args` alone, which
        # subclasses with more arguments reject.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class TransportError(ApiError):
    """No complete response arrived.

    Example:
        >>> issubclass(DeadlineExceeded, TransportError)
        True
    """


class ConnectionFailed(TransportError):
    """The connection was refused, timed out, broke off, or carried no valid HTTP.

    The server may have seen the request.

    Example:
        >>> async with ThorClient(api_key="key", base_url="http://127.0.0.1:9") as thor:
        ...     try:
        ...         await thor.with_options(retry=RetryPolicy(attempts=1)).get_analytics("CB-1")
        ...     except ConnectionFailed as error:
        ...         print(error.label, error.attempts)
        GET analytics/CB-1 1
    """


class DeadlineExceeded(TransportError):
    """The call took longer than `Timeout.total` seconds, including waits and retries.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     try:
        ...         await thor.with_options(timeout=Timeout(total=1e-9)).get_analytics("CB-1")
        ...     except DeadlineExceeded as error:
        ...         print(error.label)
        GET analytics/CB-1
    """


class StatusError(ApiError):
    """The server responded with a status other than 200.

    Attributes:
        status: HTTP status.
        code: Name of the error in the body, or None if the body has none.
        body: First 64 KiB of the body, with credentials masked.
        retry_after: Seconds to wait according to `Retry-After`, at most 86,400. None without the
            header.

    Example:
        >>> async with ThorClient.from_env() as thor:
        ...     try:
        ...         await thor.get("unknown", "TB-0001")
        ...     except StatusError as error:
        ...         print(error.status)
        404
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

    def redact(self, redact: Callable[[str], str]) -> None:
        """Redact the message and the code."""
        super().redact(redact)
        self.code = None if self.code is None else redact(self.code)


class RedirectError(StatusError):
    """The server responded with a redirect.

    Redirects are never followed: the target must not receive the credentials.

    Example:
        >>> from thorclient.sandbox import Fault, ThorSandbox
        >>> async with ThorSandbox(faults=[Fault.status(302)]) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_analytics("TB-0001")
        ...         except RedirectError as error:
        ...             print(error.status)
        302
    """


class AuthError(StatusError):
    """The server rejected the credentials (401, 403, or a rejected token request).

    Example:
        >>> import os
        >>> async with DepotClient(token="old", base_url=os.environ["DEPOT_BASE_URL"]) as depot:
        ...     try:
        ...         await depot.session_reports("CP-001", 1).collect(max_items=1)
        ...     except AuthError as error:
        ...         print(error.status, error.hint)
        401 check token (DEPOT_TOKEN)
    """


class NotFoundError(StatusError):
    """The requested object does not exist (404).

    Example:
        >>> async with DepotClient.from_env() as depot:
        ...     try:
        ...         await depot.session_reports("CP-404", 1).collect(max_items=1)
        ...     except NotFoundError as error:
        ...         print(error.status, error.context["chargerId"])
        404 CP-404
    """


class RateLimitedError(StatusError):
    """Too many requests (429).

    Example:
        >>> from thorclient.sandbox import Fault, ThorSandbox
        >>> async with ThorSandbox(faults=[Fault.status(429, retry_after=300)]) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_analytics("TB-0001")
        ...         except RateLimitedError as error:
        ...             print(f"wait {error.retry_after:g} s")
        wait 300 s
    """


class ServerError(StatusError):
    """The server failed (5xx).

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox(broken=["TB-0001"]) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_analytics("TB-0001")
        ...         except ServerError as error:
        ...             print(error.status, error.attempts)
        500 3
    """


class ResponseError(ApiError):
    """A complete response arrived, but it is not usable.

    Example:
        >>> issubclass(DecodeError, ResponseError), issubclass(SchemaError, ResponseError)
        (True, True)
    """


class DecodeError(ResponseError):
    """The body is not JSON in UTF-8.

    Example:
        >>> from thorclient.sandbox import Fault, ThorSandbox
        >>> async with ThorSandbox(faults=[Fault.html()] * 3) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_analytics("TB-0001")
        ...         except DecodeError as error:
        ...             print(error.attempts)
        3
    """


MAX_PROBLEMS = 100
"""Maximum number of problems that a `SchemaError` names."""


class SchemaError(ResponseError):
    """The body is JSON, but not of the documented shape.

    Attributes:
        problems: One line for every bad field, such as
            `$.items[3].sessionMeterValues[17].value: expected float, got str`. At most 100 are
            named. A last line such as `and 12 more` counts the others.

    Example:
        >>> from thorclient.sandbox import Fault, ThorSandbox
        >>> async with ThorSandbox(faults=[Fault.status(200, body='{"id": 7}')]) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_chargebox("TB-0001")
        ...         except SchemaError as error:
        ...             print(*error.problems)
        $.id: expected str, got int
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

    def redact(self, redact: Callable[[str], str]) -> None:
        """Redact the message and the problems."""
        super().redact(redact)
        self.problems = tuple(map(redact, self.problems))


class MisdirectedResponse(ResponseError):
    """The response belongs to another request: it names another id.

    The client retires its connections after this error.

    Example:
        >>> from thorclient.sandbox import Fault, ThorSandbox
        >>> other = Fault.status(200, body='{"id": "TB-0002"}')
        >>> async with ThorSandbox(faults=[other] * 3) as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         try:
        ...             await thor.get_chargebox("TB-0001")
        ...         except MisdirectedResponse as error:
        ...             print(error.label)
        GET chargeboxes/TB-0001
    """


class ResponseTooLarge(ResponseError):
    """The body is larger than `max_response_bytes`. The client does not read the rest of it.

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox() as sandbox:
        ...     async with ThorClient(
        ...         api_key=sandbox.api_key, base_url=sandbox.base_url, max_response_bytes=100
        ...     ) as thor:
        ...         try:
        ...             await thor.get_chargebox("TB-0001")
        ...         except ResponseTooLarge as error:
        ...             print(error.attempts)
        1
    """


class PaginationError(ApiError):
    """The pages contradict each other, so continuing could lose or repeat reports.

    Example:
        >>> from depotclient.sandbox import DepotSandbox
        >>> async with DepotSandbox(ignore_page=True) as sandbox:
        ...     async with DepotClient(token=sandbox.token, base_url=sandbox.base_url) as depot:
        ...         try:
        ...             await depot.session_reports("CP-001", 1, limit=10).collect(max_items=60)
        ...         except PaginationError as error:
        ...             print(error.context["chargerId"])
        CP-001
    """
