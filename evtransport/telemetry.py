"""Telemetry of a client: its calls, HTTP requests, retries, tokens and pages, for any sink."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Final, ParamSpec, TypeAlias, TypeVar

import attrs

from evtransport.errors import ApiError

__all__ = ["Attempt", "Call", "DecodeTimer", "Decoded", "Event", "PageRead", "Reporter", "Retry"]
__all__ += ["Telemetry", "TokenFetched", "time_decoding", "validate_telemetry"]

P = ParamSpec("P")
T = TypeVar("T")

_LOGGER: Final = logging.getLogger("evtransport")


@attrs.define(eq=False, kw_only=True)
class Call:
    """One call of a client, with all its attempts. In a walk, each page is one call.

    The fields from `attempts` on are set at the end of the call. No field holds a secret.

    Attributes:
        method: HTTP method, `GET`.
        template: Path below the base URL without ids, such as `/analytics/{chargebox_id}`. Empty
            for the calls of `client.get`.
        address: Host of the base URL.
        port: Port of the base URL.
        context: Ids and query parameters of the request, as in `ApiError.context`.
        attempts: Number of requests sent, without token requests.
        elapsed: Duration in seconds.
        error: Name of the class of the error, such as `ServerError`. Empty after a success.
        reason: Reason of an `ApiError`, which may quote ids. Empty for other errors.

    Example:
        >>> call = Call(method="GET", template="/sessionReports", address="localhost", port=443)
        >>> call.error
        ''
    """

    method: str
    template: str
    address: str
    port: int
    context: Mapping[str, str] = attrs.field(factory=dict[str, str])
    attempts: int = 0
    elapsed: float = 0.0
    error: str = ""
    reason: str = ""


@attrs.define(eq=False, kw_only=True)
class Attempt:
    """One HTTP request: an attempt of a call, or a request for a token.

    The fields from `status` on are set at the end of the request. No field holds a secret.

    Attributes:
        method: HTTP method: `GET`, or `POST` for a token.
        template: Template of the call. For a token, path of the token URL.
        url: Whole URL, which holds ids.
        address: Host of the URL.
        port: Port of the URL.
        number: Number of this request among those of its call, from 1. 1 for a token.
        status: Status of the response, None if none arrived.
        encoding: `Content-Encoding` of the response, empty without one.
        body_bytes: Size of the decompressed body. An error's body counts up to 64 KiB.
        elapsed: Duration in seconds, with the connection and the body.
        error: Name of the class of the error, such as `ConnectionFailed`, if no complete response
            arrived. Else empty, whatever the status.
        reason: Reason of an `ApiError`. Empty for other errors.

    Example:
        >>> attempt = Attempt(
        ...     method="GET",
        ...     template="/sessionReports",
        ...     url="http://localhost/sessionReports",
        ...     address="localhost",
        ...     port=80,
        ... )
        >>> attempt.status is None
        True
    """

    method: str
    template: str
    url: str
    address: str
    port: int
    number: int = 1
    status: int | None = None
    encoding: str = ""
    body_bytes: int = 0
    elapsed: float = 0.0
    error: str = ""
    reason: str = ""


@attrs.frozen
class Retry:
    """Retry of a call, before its wait.

    Attributes:
        wait: Seconds until the next attempt.
        error: Name of the class of the last attempt's error, such as `ServerError`.

    Example:
        >>> Retry(wait=0.5, error="ServerError").wait
        0.5
    """

    wait: float
    error: str


@attrs.frozen
class TokenFetched:
    """New access token, from the token URL or from the function passed as `token`.

    Attributes:
        lifetime: Seconds until it expires, or None if unknown.

    Example:
        >>> TokenFetched(lifetime=3600.0).lifetime
        3600.0
    """

    lifetime: float | None


@attrs.frozen
class PageRead:
    """Page that a walk received and that has new reports.

    Attributes:
        reports: Number of reports that the walk delivers from it.
        size: Size of the decompressed page, in bytes.

    Example:
        >>> PageRead(reports=10, size=40_000).reports
        10
    """

    reports: int
    size: int


@attrs.frozen
class Decoded:
    """Time spent with decoding: once a response, and once a page for its reports.

    Attributes:
        seconds: Time in seconds, without waits.

    Example:
        >>> Decoded(seconds=0.002).seconds
        0.002
    """

    seconds: float


Event: TypeAlias = Retry | TokenFetched | PageRead | Decoded
"""What `Telemetry.event` receives."""


class Telemetry:
    """Base class of a sink, such as `OpenTelemetry`. Override the methods that you need.

    The client calls the methods in the thread of its event loop: they must not block. If a method
    raises an error, the client logs the first one and continues.

    Example:
        >>> from contextlib import contextmanager
        >>> class Statuses(Telemetry):
        ...     def __init__(self):
        ...         self.seen = []
        ...
        ...     @contextmanager
        ...     def attempt(self, attempt):
        ...         yield
        ...         self.seen.append(attempt.status)
        >>> statuses = Statuses()
        >>> async with ThorClient.from_env(telemetry=statuses) as thor:
        ...     box = await thor.get_chargebox("TB-0001")
        >>> statuses.seen
        [200]
    """

    def call(self, call: Call) -> AbstractContextManager[object]:
        """Return a context manager, which the client enters around a call.

        The context manager is always left without an error: `call.error` names it. So code after
        the `yield` of a `contextlib.contextmanager` runs after a failure and a cancellation too.
        """
        return nullcontext()

    def attempt(self, attempt: Attempt) -> AbstractContextManager[object]:
        """Return a context manager, which the client enters around an HTTP request.

        It is entered within the context manager of its call, and left in the same way.
        """
        return nullcontext()

    def event(self, event: Event) -> None:
        """Receive a retry, a token, a page or a time of decoding."""


def validate_telemetry(telemetry: object) -> None:
    """Check the argument `telemetry` of a client.

    Raises:
        ValueError: It is neither None nor a `Telemetry`.
    """
    if telemetry is not None and not isinstance(telemetry, Telemetry):
        raise ValueError(
            "telemetry must be an object whose class inherits from Telemetry,"
            f" such as OpenTelemetry(), got {telemetry!r}"
        )


@attrs.define(eq=False)
class Reporter:
    """Sender of telemetry to a sink, whose errors it logs once.

    Args:
        telemetry: The sink.
    """

    telemetry: Telemetry
    _has_failed: bool = attrs.field(default=False, init=False)

    def call(self, call: Call) -> AbstractContextManager[None]:
        """Return the context manager around a call."""
        return _Observation(self, partial(self.telemetry.call, call), call)

    def attempt(self, attempt: Attempt) -> AbstractContextManager[None]:
        """Return the context manager around an HTTP request."""
        return _Observation(self, partial(self.telemetry.attempt, attempt), attempt)

    def event(self, event: Event) -> None:
        """Send an event to the sink."""
        try:
            self.telemetry.event(event)
        except Exception as error:
            self.log(error)

    def log(self, error: Exception) -> None:
        """Log the first error of the sink."""
        if not self._has_failed:
            self._has_failed = True
            name = type(self.telemetry).__name__
            message = "the telemetry %s raised an error; later ones are not logged"
            _LOGGER.error(message, name, exc_info=error)


class _Observation(AbstractContextManager[None]):
    """Context manager that surrounds a call or an attempt with that of a sink.

    Args:
        reporter: Logs the errors of the sink.
        enter: Returns the context manager of the sink.
        record: The call or attempt, which gets its duration and its error.
    """

    def __init__(
        self,
        reporter: Reporter,
        enter: Callable[[], AbstractContextManager[object]],
        record: Call | Attempt,
    ) -> None:
        self._reporter = reporter
        self._enter = enter
        self._record = record
        self._scope: AbstractContextManager[object] | None = None
        self._started = 0.0

    def __enter__(self) -> None:
        try:
            scope = self._enter()
            scope.__enter__()
            self._scope = scope
        except Exception as error:
            self._reporter.log(error)
        self._started = time.perf_counter()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._record.elapsed = time.perf_counter() - self._started
        if exc_type is not None:
            self._record.error = exc_type.__name__
        if isinstance(exc, ApiError):
            self._record.reason = exc.reason
        if self._scope is not None:
            try:
                self._scope.__exit__(None, None, None)
            except Exception as error:
                self._reporter.log(error)


class DecodeTimer:
    """Timer of decoding that is spread over other work, such as the reports of a page.

    Args:
        reporter: Receiver of the time. None measures nothing.
    """

    def __init__(self, reporter: Reporter | None) -> None:
        self._reporter = reporter
        self._seconds = 0.0

    def wrap(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return a function whose time counts."""
        if self._reporter is None:
            return function

        def timed(*args: P.args, **kwargs: P.kwargs) -> T:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._seconds += time.perf_counter() - started

        return timed

    def report(self) -> None:
        """Report the time since the last report, if there is any."""
        if self._reporter is not None and self._seconds:
            self._reporter.event(Decoded(self._seconds))
            self._seconds = 0.0


def time_decoding(decode: Callable[[bytes], T], body: bytes, reporter: Reporter) -> T:
    """Decode a response, and report the time."""
    timer = DecodeTimer(reporter)
    try:
        return timer.wrap(decode)(body)
    finally:
        timer.report()
