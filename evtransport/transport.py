"""Transport of one call: limiter, credentials, attempts, deadline and body.

Only this module and `evtransport.connection` import aiohttp's client. No aiohttp object leaves
them: a response is read completely and its connection released before anything is decoded. Errors
are raised outside of aiohttp's exception handlers, because its errors hold the request headers.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
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
from evtransport.pauses import pause
from evtransport.proxy import SealedProxy
from evtransport.retry import RetryPolicy, RetryQuota, RetrySchedule, Timeout
from evtransport.secrets import MAX_SECRET_LENGTH, Secret, redact
from evtransport.validation import validate_int

__all__ = ["MAX_RESPONSE_BYTES", "Transport"]

T = TypeVar("T")

MAX_RESPONSE_BYTES: Final = 32 * 2**20

LARGE_BODY_BYTES: Final = 2**20

_logger = logging.getLogger("evtransport")


@attrs.define(eq=False)
class _Call:
    """State of one `Transport.send`.

    Attributes:
        deadline: Time limit, by the clock of the event loop.
        attempts: Number of requests sent.
        renewed: True after a new token replaced a rejected one.
        credential: Last credential sent, None before the first request.
        sent: Secrets of all credentials sent.
    """

    deadline: float
    attempts: int = 0
    renewed: bool = False
    credential: Credential | None = None
    sent: tuple[Secret, ...] = ()


@attrs.define(eq=False, kw_only=True)
class Transport:
    """Transport of one client, which sends its requests.

    Args:
        base_url: Result of `parse_base_url`.
        auth: Credentials.
        names: Error names that the vendor documents.
        session: The caller's session, which is never closed. None makes one on first use.
        proxy: Result of `seal_proxy`.
        retry: Retry settings.
        timeout: Time limits.
        limiter: Entered around every request.
        max_response_bytes: Maximum size of a decompressed body.
        uniform: Returns a random float between its two arguments.
        wall_clock: Returns the Unix time, for a `Retry-After` that is a date.
    """

    base_url: URL
    auth: Auth
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
            ApiError: The call failed. The error's `attempts` is set.
            RuntimeError: The client is closed or belongs to another event loop.
        """
        self._sessions.get_session()
        call = _Call(deadline=asyncio.get_running_loop().time() + self.timeout.total)
        scope = asyncio.timeout_at(call.deadline)
        try:
            async with scope:
                try:
                    result = await self._attempt(request, call)
                except ApiError as error:
                    if not request.is_retryable(error):
                        raise
                    failures = [error]
                else:
                    self._quota.release(0)
                    return result
                return await self._retry(request, call, failures)
        except (ApiError, asyncio.CancelledError) as error:
            # A traceback holds the frames below, and these hold headers and bodies.
            raise error.with_traceback(None)  # noqa: B904
        except TimeoutError:
            if not scope.expired():  # raised by the limiter
                raise
        late = DeadlineExceeded(
            f"no response within {self.timeout.total:g} s (attempts: {call.attempts})"
        )
        late.attempts = call.attempts
        raise late

    async def _retry(self, request: Request[T], call: _Call, failures: list[ApiError]) -> T:
        """Retry a call whose first attempt has failed.

        Args:
            request: Request to send.
            call: State of the call.
            failures: The first error. It is removed, because its traceback holds frames.
        """
        schedule = RetrySchedule(
            policy=self.retry,
            quota=self._quota,
            time_left=lambda: call.deadline - asyncio.get_running_loop().time(),
            uniform=self.uniform,
            is_retryable=request.is_retryable,
        )

        async def attempt() -> T:
            if failures:
                raise failures.pop()
            return await self._attempt(request, call)

        # stamina is 5 % of the import time of a client, and its machinery costs more than a
        # successful request. So only failed calls use it.
        from stamina import AsyncRetryingCaller

        retrying = AsyncRetryingCaller(attempts=self.retry.attempts, timeout=None)
        result = await retrying(schedule, attempt)
        self._quota.release(schedule.acquired)
        return result

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
            error.attempts = call.attempts
            error.redact(partial(self._redact_text, sent=call.sent))
            if isinstance(error, MisdirectedResponse):
                self.retire_connections()
            raise

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
        return await self._exchange(
            "GET", request.url(str(self.base_url)), credential, None, call.attempts
        )

    async def _post(self, url: URL, credential: Credential, form: bytes) -> Response:
        return await self._exchange("POST", url, credential, form, 1)

    async def _exchange(
        self, method: str, url: URL, credential: Credential, form: bytes | None, attempt: int
    ) -> Response:
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
            response = await self._read(method, url, credential, form)
        except (aiohttp.ClientError, OSError) as error:
            reason = self._redact_text(_describe(error), (credential.secret,))
            failure = ConnectionFailed(shorten(reason))
        except asyncio.CancelledError as error:
            # Closing a session cancels the tasks that wait for a connection.
            if _count_cancellations() != cancellations or not self._sessions.is_closed:
                raise error.with_traceback(None)  # noqa: B904
        except BaseException as error:
            # A hook of the session may raise anything. The frames below hold the headers.
            raise error.with_traceback(None)  # noqa: B904
        finally:
            if _logger.isEnabledFor(logging.DEBUG):
                _log(method, url, response, attempt, time.perf_counter() - started)
        if response is not None:
            return response
        self._sessions.get_session()  # raises if the client was closed during the request
        raise failure

    async def _read(
        self, method: str, url: URL, credential: Credential, form: bytes | None
    ) -> Response | None:
        """Send one request and return its response, or None if its body is too large."""
        async with self._sessions.request(
            method, url, credential, form, self._client_timeout
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


def _log(method: str, url: URL, response: Response | None, attempt: int, elapsed: float) -> None:
    status = None if response is None else response.status
    fields = {
        "method": method,
        "path": url.raw_path,
        "status": status,
        "attempt": attempt,
        "elapsed": elapsed,
    }
    _logger.debug(
        "%(method)s %(path)s: %(status)s (attempt %(attempt)d, %(elapsed).3f s)",
        fields,
        extra=fields,
    )


def _count_cancellations() -> int:
    """Return the number of pending cancellation requests of this task."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _describe(error: Exception) -> str:
    """Return the reason for a failure, without the server's text, which may hold half a secret."""
    text = str(error)
    if not isinstance(error, OSError):
        message = error.message if isinstance(error, aiohttp.ClientResponseError) else text
        text = re.split(r"[:'\"`\n]", message)[0].strip()
    return f"{type(error).__name__}: {text}"
