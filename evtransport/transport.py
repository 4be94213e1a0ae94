"""Transport of one call: limiter, credentials, attempts, retries and deadline."""

from __future__ import annotations

import asyncio
import random
import time
from asyncio import sleep
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import attrs
from yarl import URL

from evtransport.auth import Auth, Credential
from evtransport.connection import ClientSession, Limiter, SessionManager, limit_request
from evtransport.errors import (
    ApiError,
    AuthError,
    DeadlineExceeded,
    MisdirectedResponse,
    StatusError,
)
from evtransport.exchange import Exchange, Exchanger
from evtransport.http import ErrorNames, Request, Response, build_status_error
from evtransport.logs import log_retry
from evtransport.pauses import pause
from evtransport.proxy import SealedProxy
from evtransport.retry import RetryPolicy, RetryQuota, RetrySchedule, Timeout
from evtransport.secrets import Secret
from evtransport.telemetry import (
    Call,
    Reporter,
    Retry,
    Telemetry,
    time_decoding,
    validate_telemetry,
)
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
        telemetry: Receiver of telemetry.
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
    telemetry: Telemetry | None = None
    max_response_bytes: int = MAX_RESPONSE_BYTES
    uniform: Callable[[float, float], float] = attrs.field(default=random.uniform, repr=False)
    wall_clock: Callable[[], float] = attrs.field(default=time.time, repr=False)
    _quota: RetryQuota = attrs.field(factory=RetryQuota, repr=False, alias="quota")
    reporter: Reporter | None = attrs.field(init=False, repr=False)
    _sessions: SessionManager = attrs.field(init=False, repr=False)
    _exchanger: Exchanger = attrs.field(init=False, repr=False)
    _owns_session: bool = attrs.field(default=True, init=False, repr=False)
    _base: str = attrs.field(init=False, repr=False)

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
        validate_telemetry(self.telemetry)
        self.reporter = None if self.telemetry is None else Reporter(self.telemetry)
        self._base = str(self.base_url)  # yarl does not keep this text
        self._sessions = SessionManager(self.session, self.proxy, self.base_url)
        self._exchanger = Exchanger(
            auth=self.auth,
            sessions=self._sessions,
            timeout=limit_request(self.timeout),
            max_response_bytes=self.max_response_bytes,
            reporter=self.reporter,
        )

    def with_options(
        self,
        *,
        retry: RetryPolicy,
        timeout: Timeout,
        limiter: Limiter | None,
        telemetry: Telemetry | None,
    ) -> Transport:
        """Return a transport with the same session, credentials and retry quota."""
        other = attrs.evolve(
            self, retry=retry, timeout=timeout, limiter=limiter, telemetry=telemetry
        )
        other._sessions = self._sessions
        other._exchanger = attrs.evolve(other._exchanger, sessions=self._sessions)
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
        if self.reporter is None:
            return await self._send_in_time(request, call)
        seen = Call(
            method="GET",
            template=request.template,
            address=self.base_url.raw_host or "",
            port=self.base_url.port or 0,
            context={name: self.redact(value) for name, value in request.context.items()},
        )
        with self.reporter.call(seen):
            try:
                return await self._send_in_time(request, call)
            finally:
                seen.attempts = call.attempts

    async def _send_in_time(self, request: Request[T], call: _Call) -> T:
        """Send a request until it succeeds, its schedule ends or its time is over."""
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
                if self.reporter is not None:
                    self.reporter.event(Retry(wait, type(error).__name__))
            else:
                self._quota.release(schedule.acquired)
                return result
            # The error is released here, together with the frames in its traceback.
            await sleep(wait)

    async def _attempt(self, request: Request[T], call: _Call) -> T:
        try:
            response = await self._get(request, call)
            if response.status in {401, 403} and await self._renew(response, call):
                call.renewed = True
                response = await self._get(request, call)
            if response.status != 200:
                redact_text = partial(self._exchanger.redact, sent=call.sent)
                raise build_status_error(
                    response, self.names, now=self.wall_clock(), redact=redact_text
                )
            if len(response.body) > LARGE_BODY_BYTES:
                await pause()  # joining the body took time, and decoding will
            if self.reporter is None:
                return request.decode(response.body)
            return time_decoding(request.decode, response.body, self.reporter)
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
        return self._exchanger.redact(text)

    def _describe(self, error: ApiError, request: Request[T], call: _Call) -> None:
        """Set the attributes of an error that name its call, without secrets."""
        request.describe(error)
        error.attempts, error.elapsed = call.attempts, _elapsed(call)
        error.hint = self.hint if isinstance(error, AuthError) else ""
        error.redact(partial(self._exchanger.redact, sent=call.sent))

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
        return may_send and await self.auth.renew_forbidden(
            call.credential, response, self._post, self.reporter
        )

    # Without a limiter, each attempt saves a coroutine.
    def _get(self, request: Request[T], call: _Call) -> Awaitable[Response]:
        if self.limiter is None:
            return self._get_now(request, call)
        return self._get_limited(request, call, self.limiter)

    async def _get_limited(self, request: Request[T], call: _Call, limiter: Limiter) -> Response:
        async with limiter:
            return await self._get_now(request, call)

    async def _get_now(self, request: Request[T], call: _Call) -> Response:
        call.attempts += 1
        credential = await self.auth.get_credential(self._post, self.reporter)
        if credential != call.credential:
            call.credential = credential
            call.sent += (credential.secret,)
        url = request.url(self._base)
        return await self._exchanger.send(
            Exchange(
                method="GET",
                path=request.path,
                label=request.label,
                template=request.template,
                url=url,
                credential=credential,
                attempt=call.attempts,
            )
        )

    async def _post(self, url: URL, credential: Credential, form: bytes) -> Response:
        path = url.raw_path
        return await self._exchanger.send(
            Exchange("POST", path, f"POST {path}", path, url, credential, form=form)
        )


def _elapsed(call: _Call) -> float:
    return asyncio.get_running_loop().time() - call.started
