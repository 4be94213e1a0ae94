"""Transport of one call: limiter, credentials, attempts, deadline and body.

Only this module and `evtransport.connection` import aiohttp's client. No aiohttp object leaves
them: a response is read completely and its connection released before anything is decoded. Errors
are raised outside aiohttp's exception handlers, because its errors hold the request headers.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from asyncio import sleep
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import aiohttp
import attrs
from yarl import URL

from evtransport.auth import Auth, Credential
from evtransport.connection import ClientSession, Limiter, SessionManager
from evtransport.errors import (
    ApiError,
    AuthError,
    ConnectionFailed,
    DeadlineExceeded,
    MisdirectedResponse,
    ResponseTooLarge,
    StatusError,
)
from evtransport.http import (
    ERROR_BODY_BYTES,
    KEPT_HEADERS,
    ErrorNames,
    Request,
    Response,
    build_status_error,
    shorten,
)
from evtransport.logs import LOGGER, log_request, log_retry
from evtransport.pauses import pause
from evtransport.proxy import SealedProxy
from evtransport.retry import RetryPolicy, RetryQuota, RetrySchedule, Timeout
from evtransport.secrets import MAX_SECRET_LENGTH, Secret, redact
from evtransport.validation import validate_int

__all__ = ["MAX_RESPONSE_BYTES", "Transport"]

T = TypeVar("T")

MAX_RESPONSE_BYTES: Final = 32 * 2**20

LARGE_BODY_BYTES: Final = 2**20


@attrs.define(eq=False)
class _Call:
    """State of one `Transport.send`.

    Attributes:
        started: Start of the call, by the clock of the event loop.
        attempts: Number of requests sent.
        renewed: True after a new token replaced a rejected one.
        credential: Last credential sent, None before the first request.
        sent: Secrets of all credentials sent.
    """

    started: float
    attempts: int = 0
    renewed: bool = False
    credential: Credential | None = None
    sent: tuple[Secret, ...] = ()


@attrs.frozen
class _Exchange:
    """One HTTP request of a call, with its credential.

    Attributes:
        path: Path in log records.
        label: Method, path and ids in log records.
    """

    method: str
    path: str
    label: str
    url: URL
    credential: Credential
    attempt: int = 1
    form: bytes | None = None


@attrs.define(eq=False, kw_only=True)
class Transport:
    """Transport of one client, which sends its requests.

    Args:
        base_url: Result of `parse_base_url`.
        auth: Credentials.
        hint: Credential to check, in errors after the API rejected it.
        names: Error names that the vendor documents.
        session: The caller's session, which is never closed. None makes one on first use.
        proxy: Result of `seal_proxy`.
        retry: Retry settings.
        timeout: Time limits.
        limiter: Entered around every request.
        max_response_bytes: Maximum size of a decompressed body.
        uniform: Returns a random float between its two arguments.
        wall_clock: Returns the Unix time, for a `Retry-After` that is a date.

    Example:
        >>> from yarl import URL
        >>> auth = ApiKey(Secret("key"))
        >>> transport = Transport(base_url=URL("https://example.com"), auth=auth)
        >>> await transport.aclose()
    """

    base_url: URL
    auth: Auth
    hint: str = ""
    names: ErrorNames = attrs.field(factory=dict[str, type[StatusError]])
    session: ClientSession | None = attrs.field(default=None, repr=False)
    proxy: SealedProxy = attrs.field(default=None, repr=False)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    timeout: Timeout = attrs.field(factory=Timeout)
    limiter: Limiter | None = None
    max_response_bytes: int = MAX_RESPONSE_BYTES
    uniform: Callable[[float, float], float] = attrs.field(default=random.uniform, repr=False)
    wall_clock: Callable[[], float] = attrs.field(default=time.time, repr=False)
    _quota: RetryQuota = attrs.field(factory=RetryQuota, repr=False, alias="quota")
    _sessions: SessionManager = attrs.field(init=False, repr=False)
    _client_timeout: aiohttp.ClientTimeout = attrs.field(init=False, repr=False)
    _owns_session: bool = attrs.field(default=True, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for name, value, kind in (
            ("retry", self.retry, RetryPolicy),
            ("timeout", self.timeout, Timeout),
        ):
            if not isinstance(value, kind):
                raise ValueError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
        validate_int("max_response_bytes", self.max_response_bytes, minimum=1)
        if self.limiter is not None and not (
            hasattr(self.limiter, "__aenter__") and hasattr(self.limiter, "__aexit__")
        ):
            raise ValueError(f"limiter must be an async context manager, got {self.limiter!r}")
        self._sessions = SessionManager(self.session, self.proxy, self.base_url)
        # `send` limits the total. `connect` would include the wait for a free connection.
        self._client_timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self.timeout.connect, sock_read=self.timeout.read
        )

    def with_options(
        self, *, retry: RetryPolicy, timeout: Timeout, limiter: Limiter | None
    ) -> Transport:
        """Return a transport with the same session, credentials and retry quota."""
        other = attrs.evolve(self, retry=retry, timeout=timeout, limiter=limiter)
        other._sessions = self._sessions
        other._owns_session = False
        return other

    def retire_connections(self) -> None:
        """Use new connections from now on, after a suspect response."""
        self._sessions.retire_connections()

    async def aclose(self) -> None:
        """Close the session if this transport made it. Closing twice is allowed."""
        if self._owns_session:
            await self._sessions.aclose()

    async def send(self, request: Request[T]) -> T:
        """Send a GET request, with retries, and return its decoded result.

        Args:
            request: Request to send.

        Raises:
            ApiError: The call failed. The error names the request, its attempts and its duration.
            RuntimeError: The client is closed or belongs to another event loop.
        """
        self._sessions.get_session()
        call = _Call(asyncio.get_running_loop().time())
        scope = asyncio.timeout_at(call.started + self.timeout.total)
        try:
            async with scope:
                return await self._send(request, call)
        except (ApiError, asyncio.CancelledError) as error:
            # A traceback holds the frames below, and these hold headers and bodies.
            raise error.with_traceback(None)  # noqa: B904
        except StopAsyncIteration as error:
            # Raised by the token function or the limiter. A walk must not end because of it.
            raise RuntimeError("a call raised StopAsyncIteration") from error
        except TimeoutError:
            if not scope.expired():  # raised by the limiter
                raise
        late = DeadlineExceeded(f"no response within {self.timeout.total:g} s")
        self._describe(late, request, call)
        raise late

    async def _send(self, request: Request[T], call: _Call) -> T:
        """Send a request until it succeeds or its schedule ends."""
        schedule = RetrySchedule(
            policy=self.retry,
            quota=self._quota,
            time_left=lambda: self.timeout.total - _elapsed(call),
            uniform=self.uniform,
            is_retryable=request.is_retryable,
        )
        while True:
            try:
                result = await self._attempt(request, call)
            except ApiError as error:
                wait = schedule.next_wait(error)
                if wait is None:
                    raise
                log_retry(error, wait=wait, attempts=self.retry.attempts)
            else:
                self._quota.release(schedule.acquired)
                return result
            # The error is released here, together with the frames in its traceback.
            await sleep(wait)

    async def _attempt(self, request: Request[T], call: _Call) -> T:
        try:
            response = await self._limited_get(request, call)
            if response.status in {401, 403} and await self._renew(response, call):
                call.renewed = True
                response = await self._limited_get(request, call)
            if response.status != 200:
                redact_text = partial(self._redact_text, sent=call.sent)
                raise build_status_error(
                    response, self.names, now=self.wall_clock(), redact=redact_text
                )
            if len(response.body) > LARGE_BODY_BYTES:
                await pause()  # joining the body took time, and decoding will
            return request.decode(response.body)
        except ApiError as error:
            self._describe(error, request, call)
            if isinstance(error, MisdirectedResponse):
                self.retire_connections()
            raise

    def describe(self, request: Request[T], error: ApiError) -> None:
        """Set the attributes of an error that name a request, without secrets.

        Call it for an error after `send`, such as an error while structuring the result.
        """
        request.describe(error)
        error.redact(self.redact)

    def redact(self, text: str) -> str:
        """Return a text with the current credentials masked, such as for a log record."""
        return self._redact_text(text, ())

    def _describe(self, error: ApiError, request: Request[T], call: _Call) -> None:
        """Set the attributes of an error that name its call, without secrets."""
        request.describe(error)
        error.attempts, error.elapsed = call.attempts, _elapsed(call)
        error.hint = self.hint if isinstance(error, AuthError) else ""
        error.redact(partial(self._redact_text, sent=call.sent))

    async def _renew(self, response: Response, call: _Call) -> bool:
        """Invalidate the token after a 401, or renew it after a 403, if that may help.

        A call renews at most once, and the second request counts as one of its attempts. A policy
        of one attempt disables retries, but not this: a token may become invalid at any time.

        Returns:
            True if the request should be sent again.
        """
        assert call.credential is not None  # noqa: S101 - a response follows a request
        may_send = not call.renewed and call.attempts < max(2, self.retry.attempts)
        if response.status == 401:
            return self.auth.invalidate(call.credential) and may_send
        return may_send and await self.auth.renew_forbidden(call.credential, response, self._post)

    async def _limited_get(self, request: Request[T], call: _Call) -> Response:
        if self.limiter is None:
            return await self._get(request, call)
        async with self.limiter:
            return await self._get(request, call)

    async def _get(self, request: Request[T], call: _Call) -> Response:
        call.attempts += 1
        credential = await self.auth.get_credential(self._post)
        if credential != call.credential:
            call.credential = credential
            call.sent += (credential.secret,)
        url = request.url(str(self.base_url))
        return await self._exchange(
            _Exchange("GET", request.path, request.label, url, credential, call.attempts)
        )

    async def _post(self, url: URL, credential: Credential, form: bytes) -> Response:
        path = url.raw_path
        return await self._exchange(
            _Exchange("POST", path, f"POST {path}", url, credential, form=form)
        )

    async def _exchange(self, exchange: _Exchange) -> Response:
        """Send one request and return its response.

        Raises:
            ConnectionFailed: No complete response arrived.
            ResponseTooLarge: The body is larger than `max_response_bytes`.
        """
        started = time.perf_counter()
        cancellations = _count_cancellations()
        response = None
        failure: ApiError = ResponseTooLarge(
            f"the response is larger than max_response_bytes={self.max_response_bytes}"
        )
        try:
            response = await self._read(exchange)
        except (aiohttp.ClientError, OSError) as error:
            reason = self._redact_text(_reason(error), (exchange.credential.secret,))
            failure = ConnectionFailed(shorten(reason))
        except asyncio.CancelledError as error:
            # Closing a session cancels the tasks that wait for a connection.
            if _count_cancellations() != cancellations or not self._sessions.is_closed:
                raise error.with_traceback(None)  # noqa: B904
        except BaseException as error:
            # A hook of the session may raise anything. The frames below hold the headers.
            raise error.with_traceback(None)  # noqa: B904
        finally:
            if LOGGER.isEnabledFor(logging.DEBUG):
                sent = (exchange.credential.secret,)
                log_request(
                    exchange.method,
                    self._redact_text(exchange.path, sent),
                    self._redact_text(exchange.label, sent),
                    status=None if response is None else response.status,
                    attempt=exchange.attempt,
                    elapsed=time.perf_counter() - started,
                )
        if response is not None:
            return response
        self._sessions.get_session()  # raises if the client was closed during the request
        raise failure

    async def _read(self, exchange: _Exchange) -> Response | None:
        """Send one request and return its response, or None if its body is too large."""
        credential = exchange.credential
        async with self._sessions.request(
            exchange.method, exchange.url, credential, exchange.form, self._client_timeout
        ) as response:
            if response.status == 200:
                limit = self.max_response_bytes
                if (response.content_length or 0) <= limit:
                    chunks = await self._sessions.read_chunks(response, limit)
                    if sum(map(len, chunks)) <= limit:
                        return Response(200, {}, b"".join(chunks))
                return None
            # A cut inside a secret would leave a part that no mask covers.
            limit = ERROR_BODY_BYTES + MAX_SECRET_LENGTH
            start = b"".join(await self._sessions.read_chunks(response, limit))
            sent = (credential.secret,)
            headers = {
                name: self._redact_text(", ".join(response.headers.getall(name)), sent)
                for name in KEPT_HEADERS
                if name in response.headers
            }
            body = redact(start, self._secrets(sent))[:ERROR_BODY_BYTES]
            return Response(response.status, headers, body)

    def _redact_text(self, text: str, sent: tuple[Secret, ...]) -> str:
        return redact(text.encode(errors="replace"), self._secrets(sent)).decode()

    def _secrets(self, sent: tuple[Secret, ...]) -> tuple[Secret, ...]:
        """Return the secrets to mask: current credentials, sent ones, and those of proxies.

        Another call may have replaced a token that was sent.
        """
        return tuple(dict.fromkeys((*self.auth.secrets, *sent, *self._sessions.secrets)))


def _elapsed(call: _Call) -> float:
    return asyncio.get_running_loop().time() - call.started


def _count_cancellations() -> int:
    """Return the number of pending cancellation requests of this task."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _reason(error: Exception) -> str:
    """Return the reason for a failure, without the server's text, which may hold half a secret."""
    text = str(error)
    if not isinstance(error, OSError):
        message = error.message if isinstance(error, aiohttp.ClientResponseError) else text
        text = re.split(r"[:'\"`\n]", message)[0].strip()
    return f"{type(error).__name__}: {text}"
