"""The road of one call: limiter, credentials, attempts and deadline around one `ClientSession`.

This is the only module of the library that imports aiohttp's client. Nothing of aiohttp leaves it:
an answer is read whole and its connection given back before anything is decoded, and an error
is raised only after the handler of aiohttp's own, which knows the request's headers, has been left.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from weakref import WeakSet

import aiohttp
import attrs
from aiohttp import ClientSession
from yarl import URL

from evtransport._version import __version__
from evtransport.auth import Auth, Secret, redact
from evtransport.deadlines import Deadlines
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
    decipher,
    declared_length,
    one_line,
)
from evtransport.proxy import Proxy, ProxyOption, environment_proxy
from evtransport.retry import RetryPolicy, RetryQuota, RetrySchedule, Timeout
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = [
    "MAX_RESPONSE_BYTES",
    "UNCHANGED",
    "ClientSession",
    "Limiter",
    "Pauses",
    "Transport",
    "Unchanged",
    "pause",
]

T = TypeVar("T")

MAX_RESPONSE_BYTES: Final = 32 * 2**20

SPARE_BYTES: Final = 16 * 1024

LARGE_BYTES: Final = 2**20

WORK_SECONDS: Final = 0.001
"""Longest work without a pause, in seconds."""

USER_AGENT: Final = f"thor-depot-clients/{__version__}"

_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept": "application/json"}
_FORM_HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded"}

_NO_HEADER: Final = Secret("")

_logger = logging.getLogger("evtransport")


class Limiter(Protocol):
    """Anything that can be entered by `async with` again and again, by many tasks at once.

    `asyncio.Semaphore` caps the requests under way, aiolimiter's `AsyncLimiter` their rate. It is
    entered once for each request on the wire (token requests apart) and left when the answer
    has been read, so nothing is held while a call waits for its next attempt.
    """

    async def __aenter__(self) -> object:
        """Wait until one more request may be sent."""
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object:
        """Note that it has been answered."""
        ...


class Unchanged(Enum):
    """The type of `UNCHANGED`, for an option of which None is a value."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class CleanPoolConnector(aiohttp.TCPConnector):
    """A connector that reuses no connection on which something has come in unasked.

    aiohttp would take a second answer that arrives while the connection idles in the pool for the
    answer to the next request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._used: WeakSet[ResponseHandler] = WeakSet()
        self._retired: WeakSet[ResponseHandler] | None = None  # rarely needed

    def retire_connections(self) -> None:
        """Reuse no connection that has been used so far."""
        self._retired, self._used = (self._retired or WeakSet()) | self._used, WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> Connection:
        """A connection that is ready for a request: new, or pooled and still in step."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and self._is_in_step(protocol):
                self._used.add(protocol)
                return connection
            connection.close()

    def _is_in_step(self, protocol: ResponseHandler) -> bool:
        if protocol.should_close:
            return False
        return self._retired is None or protocol not in self._retired


class SessionManager:
    """`ClientSession` of a client and of all clients that `with_options` made from it.

    Args:
        borrowed: The caller's session, or None.
        proxy: None takes the proxy of a borrowed session, else that of the environment.
        base_url: Address of the API. Its proxy in the environment is checked at once.
    """

    def __init__(self, borrowed: ClientSession | None, proxy: ProxyOption, base_url: URL) -> None:
        if not isinstance(borrowed, ClientSession | None):
            raise ValueError("session must be an aiohttp.ClientSession")
        if borrowed is not None:
            _check_borrowed(borrowed)
        self._session = borrowed
        self._borrowed = borrowed is not None
        # Proxies of the environment, looked up once for each address.
        self._proxies: dict[tuple[str, str, int], Proxy | None] = {}
        self._proxy: ProxyOption = proxy
        # aiohttp adds credentials from ~/.netrc, and fails if the request has some already.
        self.reads_netrc = borrowed is not None and borrowed.trust_env
        if proxy is None and not self._borrowed:
            self._environment_proxy(base_url)
        self._connector: CleanPoolConnector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # What a session of ours sends by itself.
        self.headers = _HEADERS if self._borrowed else {}
        self.answers: set[aiohttp.ClientResponse] = set()
        self.closed = False

    def session(self) -> ClientSession:
        """The session, made on first use inside the running loop.

        Raises:
            RuntimeError: The client or the borrowed session is closed, or the client is in use
                by another event loop.
        """
        if self.closed:
            raise RuntimeError("the client was closed")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._belong_to(loop)
        if self._session is None:
            self._connector = CleanPoolConnector()
            self._session = ClientSession(
                connector=self._connector, cookie_jar=aiohttp.DummyCookieJar(), headers=_HEADERS
            )
        if self._session.closed:
            raise RuntimeError("the ClientSession that was given as session= is closed")
        return self._session

    @property
    def is_closed(self) -> bool:
        """True if the client or the borrowed session is closed."""
        return self.closed or (self._session is not None and self._session.closed)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets of the proxies in use."""
        proxies = (self._proxy, *self._proxies.values())
        return tuple(
            secret for proxy in proxies if isinstance(proxy, Proxy) for secret in proxy.secrets
        )

    def overrides(self, url: URL, name: str, secret: Secret) -> _Overrides:
        """Return the changes to make to a request after the session has built it."""
        credential = (name, secret) if self.reads_netrc else None
        if self._proxy is not None:
            return _Overrides(credential, self._proxy)
        if self._borrowed and not self.reads_netrc:
            return _Overrides()
        named = self._environment_proxy(url)
        if named is None:
            return _Overrides(credential)
        proxy: ProxyOption = named if named.may_carry(url) else False
        return _Overrides(credential, proxy, replaces=named.url if self._borrowed else None)

    def _environment_proxy(self, url: URL) -> Proxy | None:
        place = (url.scheme, url.raw_host or "", url.port or 0)
        if place not in self._proxies:
            self._proxies[place] = environment_proxy(url)
        return self._proxies[place]

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "the client belongs to the event loop that it was first used in;"
                " make one client for each loop"
            )

    def retire_connections(self) -> None:
        """Reuse no connection made so far, unless the session is borrowed."""
        if self._connector is not None:
            self._connector.retire_connections()

    async def aclose(self) -> None:
        """Close the session if it was made here; further calls do nothing.

        Raises:
            RuntimeError: It belongs to another event loop, which still runs.
        """
        if self._loop is not None and not self._loop.is_closed():
            self._belong_to(asyncio.get_running_loop())
        self.closed = True
        if self._session is not None and not self._borrowed:
            for answer in tuple(self.answers):
                answer.close()  # closing the session alone would leave its reader waiting
            await self._session.close()


def _check_borrowed(session: ClientSession) -> None:
    if session.auth is not None:
        raise ValueError("session must not have auth=: the client sends its own credentials")
    if session.trust_env and "Authorization" in session.headers:
        raise ValueError(
            "session must not have both trust_env=True and an Authorization header:"
            " aiohttp refuses them if ~/.netrc has credentials; use one of the two"
        )


@attrs.frozen
class _Overrides:
    """Changes to a request that aiohttp has built from the session and the arguments.

    Attributes:
        credential: Header that replaces any `Authorization`. None changes no header.
        proxy: Proxy to use, or False for none. None changes nothing.
        replaces: Replace only this proxy. None replaces any.
    """

    credential: tuple[str, Secret] | None = None
    proxy: ProxyOption = None
    replaces: URL | None = None

    def apply(self, request: aiohttp.ClientRequest) -> None:
        """Change a request."""
        if self.credential is not None:
            name, secret = self.credential
            request.headers.popall("Authorization", None)
            request.headers[name] = secret.reveal()
        if self.proxy is None or self.replaces not in {None, request.proxy}:
            return
        if self.proxy is False:
            request.update_proxy(None, None, None)
        elif request.is_ssl():
            request.update_proxy(self.proxy.url, None, self.proxy.headers)
        else:
            request.update_proxy(self.proxy.url, None, None)
            request.headers.update(self.proxy.headers)


class NoHiddenRetry:
    """Middleware that changes one request, sends it and refuses to send a second.

    aiohttp repeats an idempotent request when the connection drops before the head of
    the answer. That would double every attempt, so its second try gets the first one's error.
    """

    __slots__ = ("_error", "_overrides")

    def __init__(self, overrides: _Overrides) -> None:
        self._overrides = overrides
        self._error: aiohttp.ClientError | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._error is not None:
            raise self._error
        self._overrides.apply(request)
        try:
            return await handler(request)
        except aiohttp.ClientError as error:
            self._error = error
            raise


@attrs.define(eq=False)
class _Call:
    """What one call of `Transport.send` has come to so far.

    Attributes:
        due: When it must have ended, by the clock of its event loop.
        attempts: Requests on the wire.
        renewed: A 401 has been answered with a new token.
        header: Value of the credential header that was sent last. Empty before the first request.
        sent: Credentials that were sent, without their scheme.
    """

    due: float
    attempts: int = 0
    renewed: bool = False
    header: Secret = _NO_HEADER
    sent: tuple[Secret, ...] = ()


@attrs.define(eq=False, kw_only=True)
class Transport:
    """Sends requests for one client, under its credentials and options.

    Args:
        base_url: Checked by `parse_base_url`.
        auth: The credentials.
        names: The error names that the vendor documents.
        session: Borrowed and never closed; None makes one on first use.
        proxy: Result of `proxy_option`.
        retry: How often and how patiently to try again.
        timeout: How long a call may take.
        limiter: Entered around every request.
        max_response_bytes: How many decompressed bytes of an answer are held at the most.
        uniform: Draws the jitter.
        wall_clock: Unix time, for a `Retry-After` that is a date.
    """

    base_url: URL
    auth: Auth
    names: ErrorNames = attrs.field(factory=dict[str, type[StatusError]])
    session: ClientSession | None = attrs.field(default=None, repr=False)
    proxy: ProxyOption = attrs.field(default=None, repr=False)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    timeout: Timeout = attrs.field(factory=Timeout)
    limiter: Limiter | None = None
    max_response_bytes: int = MAX_RESPONSE_BYTES
    uniform: Callable[[float, float], float] = attrs.field(default=random.uniform, repr=False)
    wall_clock: Callable[[], float] = attrs.field(default=time.time, repr=False)
    _quota: RetryQuota = attrs.field(factory=RetryQuota, repr=False, alias="quota")
    _holder: SessionManager = attrs.field(init=False, repr=False)
    _address: str = attrs.field(init=False, repr=False)
    _client_timeout: aiohttp.ClientTimeout = attrs.field(init=False, repr=False)
    _deadlines: Deadlines = attrs.field(init=False, repr=False)
    _owns_session: bool = attrs.field(default=True, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for name, value, kind in (
            ("retry", self.retry, RetryPolicy),
            ("timeout", self.timeout, Timeout),
        ):
            if not isinstance(value, kind):
                raise ValueError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
        validate_int("max_response_bytes", self.max_response_bytes, minimum=1)
        enters = hasattr(self.limiter, "__aenter__") and hasattr(self.limiter, "__aexit__")
        if self.limiter is not None and not enters:
            raise ValueError(f"limiter must be an async context manager: {self.limiter!r}")
        self._holder = SessionManager(self.session, self.proxy, self.base_url)
        self._address = str(self.base_url)
        self._deadlines = Deadlines(self.timeout.total)
        self._client_timeout = aiohttp.ClientTimeout(
            # `total` is the whole call's business, and `connect` would count the wait for a free
            # connection of the pool against the server.
            total=None,
            sock_connect=self.timeout.connect,
            sock_read=self.timeout.read,
        )

    def with_options(
        self,
        *,
        retry: RetryPolicy | None,
        timeout: Timeout | None,
        limiter: Limiter | Unchanged | None,
    ) -> Transport:
        """Another transport over this one's session, credentials and retry quota."""
        other = attrs.evolve(
            self,
            retry=self.retry if retry is None else retry,
            timeout=self.timeout if timeout is None else timeout,
            limiter=self.limiter if limiter is UNCHANGED else limiter,
        )
        other._holder = self._holder
        other._owns_session = False
        return other

    def retire_connections(self) -> None:
        """Use new connections from now on: a response may belong to another request."""
        self._holder.retire_connections()

    async def aclose(self) -> None:
        """Close the session if this transport made it; further calls do nothing."""
        if self._owns_session:
            await self._holder.aclose()

    async def send(self, request: Request[T]) -> T:
        """Send a GET and decode its answer, with as many attempts as the policy allows.

        Args:
            request: What to ask and how to decode the answer.

        Raises:
            ApiError: The one error that the call came to, with `attempts` filled in.
            RuntimeError: The client is closed or belongs to another event loop.
        """
        self._holder.session()
        scope = asyncio.timeout(None)
        call = _Call(due=self._deadlines.begin(scope))
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
                return await self._retried(request, call, failures)
        except (ApiError, asyncio.CancelledError) as error:
            # The frames below hold headers and bodies, and a traceback holds frames.
            raise error.with_traceback(None)  # noqa: B904
        except TimeoutError:
            if not scope.expired():  # the limiter's own
                raise
        finally:
            self._deadlines.end(scope)
        late = DeadlineExceeded(
            f"no answer within {self.timeout.total:g} s (attempts: {call.attempts})"
        )
        late.attempts = call.attempts
        raise late

    async def _retried(self, request: Request[T], call: _Call, failures: list[ApiError]) -> T:
        """The further attempts of a call that has failed once.

        Retry machinery costs more than a request that succeeds, so it comes in only here, and the
        failure that has happened already is what it sees first. It is taken out of `failures`, so
        that no frame holds it longer than needed: its traceback holds frames in turn.
        """
        schedule = RetrySchedule(
            policy=self.retry,
            quota=self._quota,
            time_left=lambda: call.due - asyncio.get_running_loop().time(),
            uniform=self.uniform,
            is_retryable=request.is_retryable,
        )

        async def attempt() -> T:
            if failures:
                raise failures.pop()
            return await self._attempt(request, call)

        # Most processes that import a client end before a call of theirs fails, and stamina and its
        # tenacity are 5 % of that import.
        from stamina import AsyncRetryingCaller

        retrying = AsyncRetryingCaller(attempts=self.retry.attempts, timeout=None)
        result = await retrying(schedule, attempt)
        self._quota.release(schedule.paid)
        return result

    async def _attempt(self, request: Request[T], call: _Call) -> T:
        limiter = self.limiter
        exchange = self._exchange if limiter is None else partial(self._limited_exchange, limiter)
        try:
            response = await exchange(request, call)
            if response.status in {401, 403} and await self._try_renewal(response, call):
                call.renewed = True
                response = await exchange(request, call)
            redact_text = partial(self._redact, call)
            body = decipher(response, self.names, now=self.wall_clock(), redact=redact_text)
            if len(body) > LARGE_BYTES:
                await pause()  # to put it together took its time, and so will the decoding
            return request.decode(body)
        except ApiError as error:
            error.attempts = call.attempts
            error.redact(partial(self._redact, call))
            if isinstance(error, MisdirectedResponse):
                self.retire_connections()
            raise

    def _redact(self, call: _Call, text: str) -> str:
        """Return a server's text without the secrets of a call."""
        return redact(text.encode(errors="replace"), self._secrets(*call.sent)).decode()

    def _secrets(self, *sent: Secret) -> tuple[Secret, ...]:
        """Return the texts to mask: current credentials, sent ones, and passwords of proxies.

        A token that was sent may have been replaced or forgotten since.
        """
        # Keep the first of equal secrets: after an error, its encodings are computed already.
        return tuple(dict.fromkeys((*self.auth.secrets, *sent, *self._holder.secrets)))

    async def _try_renewal(self, response: Response, call: _Call) -> bool:
        """Invalidate the token after a 401, or renew it after a 403, if that may help.

        A call renews at most once, and the second request counts as one of its attempts. A policy
        of one attempt forbids retries, but allows this: a token may become invalid at any time.

        Returns:
            True if the request should be sent again.
        """
        may_send = not call.renewed and call.attempts < max(2, self.retry.attempts)
        if response.status == 401:
            return self.auth.invalidate(call.header) and may_send
        return may_send and await self.auth.forbidden(call.header, response, self._post)

    async def _limited_exchange(
        self, limiter: Limiter, request: Request[T], call: _Call
    ) -> Response:
        async with limiter:
            return await self._exchange(request, call)

    async def _exchange(self, request: Request[T], call: _Call) -> Response:
        call.attempts += 1
        header = await self.auth.header(self._post)
        if header != call.header:
            call.header = header
            call.sent += (_without_scheme(header),)
        url = request.url(self._address)
        credential = (self.auth.header_name, header)
        return await self._answer("GET", url, credential, None, call.attempts)

    async def _post(self, url: URL, authorization: Secret, form: bytes) -> Response:
        return await self._answer("POST", url, ("Authorization", authorization), form, 1)

    async def _answer(
        self,
        method: str,
        url: URL,
        credential: tuple[str, Secret],
        form: bytes | None,
        attempt: int,
    ) -> Response:
        """One request on the wire and its answer, or the one error of ours that it came to."""
        started = time.perf_counter()
        cancels = _cancels()
        response = None
        failure: ApiError = ResponseTooLarge(
            f"the answer is larger than max_response_bytes={self.max_response_bytes}"
        )
        try:
            response = await self._read(method, url, credential, form)
        except (aiohttp.ClientError, OSError) as error:
            reason = redact(_reason(error), self._secrets(_without_scheme(credential[1])))
            failure = ConnectionFailed(one_line(reason.decode()))
        except asyncio.CancelledError as error:
            # Closing a session cancels the tasks that wait for a connection.
            if _cancels() != cancels or not self._holder.is_closed:
                raise error.with_traceback(None)  # noqa: B904
        except BaseException as error:
            # Not aiohttp's own: a hook of the session's, say. The frames below hold the headers.
            raise error.with_traceback(None)  # noqa: B904
        finally:
            if _logger.isEnabledFor(logging.DEBUG):
                _log(method, url, response, attempt, time.perf_counter() - started)
        if response is not None:
            return response
        self._holder.session()  # where the client was closed meanwhile, that is what to say
        raise failure

    async def _read(
        self,
        method: str,
        url: URL,
        credential: tuple[str, Secret],
        form: bytes | None,
    ) -> Response | None:
        """One request on the wire and its whole answer; None when that is too large."""
        name, secret = credential
        async with self._holder.session().request(
            method,
            url,
            data=form,
            headers={
                **self._holder.headers,
                **(_FORM_HEADERS if form is not None else {}),
                **({} if self._holder.reads_netrc else {name: secret.reveal()}),
            },
            allow_redirects=False,
            auto_decompress=True,
            raise_for_status=False,
            middlewares=(NoHiddenRetry(self._holder.overrides(url, name, secret)),),
            timeout=self._client_timeout,
        ) as answer:
            healthy = answer.status == 200
            # Read more of an error than is kept: half a secret at the cut would not be masked.
            most = self.max_response_bytes if healthy else ERROR_BODY_BYTES + SPARE_BYTES
            if healthy and declared_length(answer.headers.get("Content-Length", "")) > most:
                answer.close()
                return None
            # Joined at the end: a buffer that grows is copied again and again, at four times the
            # cost.
            chunks: list[bytes] = []
            length = 0
            self._holder.answers.add(answer)
            try:
                while length <= most and (chunk := await answer.content.readany()):
                    chunks.append(chunk)
                    length += len(chunk)
            except RuntimeError as error:  # aiohttp's way to say that the session was closed
                raise aiohttp.ClientConnectionError(str(error)) from None
            finally:
                self._holder.answers.discard(answer)
            if length > most:
                answer.close()
                if healthy:
                    return None
            body = b"".join(chunks)
            if healthy:
                return Response(200, {}, body)
            secrets = self._secrets(_without_scheme(secret))
            kept = {
                # A header that was sent more than once is a list.
                name: redact(", ".join(values).encode(errors="replace"), secrets).decode()
                for name in KEPT_HEADERS
                if (values := answer.headers.getall(name, ()))
            }
            return Response(answer.status, kept, redact(body, secrets)[:ERROR_BODY_BYTES])


async def pause() -> None:
    """Let all that is due in the event loop have its turn, timers too.

    A sleep of no time goes on before timers that are due. This one stands in line with them, and
    since it is due at once, the loop never waits for it, however coarse the clock.
    """
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    timer = loop.call_at(loop.time(), _end, turn)
    try:
        await turn
    finally:
        timer.cancel()


class Pauses:
    """Lets the event loop run other tasks after each millisecond of work."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    async def pause_if_due(self) -> None:
        """Pause if the last pause was some time ago."""
        if time.perf_counter() - self._last > WORK_SECONDS:
            await pause()
            self._last = time.perf_counter()


def _end(turn: asyncio.Future[None]) -> None:
    if not turn.done():  # a cancellation may have come when this stood in line already
        turn.set_result(None)


def _log(method: str, url: URL, response: Response | None, attempt: int, elapsed: float) -> None:
    status = None if response is None else response.status
    _logger.debug(
        "%s %s: %s (attempt %d, %.3f s)",
        method,
        url.raw_path,
        status or "no answer",
        attempt,
        elapsed,
        extra={
            "method": method,
            "path": url.raw_path,
            "status": status,
            "attempt": attempt,
            "elapsed": elapsed,
        },
    )


def _without_scheme(header: Secret) -> Secret:
    return Secret(header.reveal().removeprefix("Bearer "))


def _cancels() -> int:
    """Return the number of pending cancellation requests of this task."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _reason(error: Exception) -> bytes:
    """What went wrong, without what the server has sent: that may be cut out of a secret."""
    text = str(error)
    if not isinstance(error, OSError):
        said = error.message if isinstance(error, aiohttp.ClientResponseError) else text
        text = re.split(r"[:'\"`\n]", said)[0].strip()
    return f"{type(error).__name__}: {text}".encode(errors="replace")
