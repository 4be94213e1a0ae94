"""Connections of a client: its aiohttp session, connector, proxies, and how requests use them."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Protocol
from weakref import WeakSet

import aiohttp
from aiohttp import ClientSession, ClientTimeout
from yarl import URL

from evtransport._version import __version__
from evtransport.auth import Credential
from evtransport.proxy import Proxy, SealedProxy, find_environment_proxy, parse_proxy
from evtransport.retry import Timeout
from evtransport.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = ["FAILURES", "CleanPoolConnector", "ClientSession", "ClientTimeout", "Limiter"]
__all__ += ["NoHiddenRetry", "SessionManager", "limit_request", "reason_of"]

FAILURES: Final = (aiohttp.ClientError, OSError)
"""Errors that mean that no complete response arrived."""

_HEADERS: Final = {
    "User-Agent": f"thor-depot-clients/{__version__}",
    "Accept": "application/json",
}


class Limiter(Protocol):
    """Async context manager that many tasks may enter at the same time, again and again.

    `asyncio.Semaphore` limits the requests in flight, aiolimiter's `AsyncLimiter` their rate. A
    call enters it once for each request, except token requests, and leaves it when the response
    is read. So a call holds nothing while it waits for its next attempt.

    Example:
        >>> async with ThorClient.from_env() as client:
        ...     thor = client.with_options(limiter=asyncio.Semaphore(4))
        ...     async for chargebox_id, result in thor.get_analytics_many(["TB-0001", "TB-0002"]):
        ...         print(type(result).__name__)
        Analytics
        Analytics
    """

    async def __aenter__(self) -> object:
        """Wait until another request may be sent."""
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object:
        """Record that the request has ended."""
        ...


class CleanPoolConnector(aiohttp.TCPConnector):
    """Connector that closes pooled connections on which unexpected data arrived.

    aiohttp would use a second response that arrives in the pool as the response to the next
    request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._used: WeakSet[ResponseHandler] = WeakSet()
        self._retired: WeakSet[ResponseHandler] = WeakSet()

    def retire_connections(self) -> None:
        """Reuse no connection that has been used so far."""
        self._retired |= self._used

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> Connection:
        """Return a connection that is new, or pooled and clean."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            # An empty protocol is false, so compare with None.
            if protocol is not None and not protocol.should_close and protocol not in self._retired:
                self._used.add(protocol)
                return connection
            connection.close()


class NoHiddenRetry:
    """Middleware that adapts a request, sends it and refuses to send it again.

    aiohttp repeats a GET if the connection closes before the response headers. That would
    double every attempt, so the second try gets the error of the first.

    Args:
        adapt: Changes the request that aiohttp has built.
    """

    __slots__ = ("_adapt", "_error")

    def __init__(self, adapt: Callable[[aiohttp.ClientRequest], None]) -> None:
        self._adapt = adapt
        self._error: aiohttp.ClientError | None = None

    async def __call__(  # noqa: D102 - the class docstring says it
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._error is not None:
            raise self._error
        self._adapt(request)
        try:
            return await handler(request)
        except aiohttp.ClientError as error:
            self._error = error
            raise


class SessionManager:
    """Session of a client, shared with the clients that its `with_options` returns.

    Args:
        session: The caller's session. None makes one on first use.
        proxy: Value of the client's `proxy=`.
        base_url: Address of the API. Its proxy in the environment is checked immediately.
    """

    def __init__(self, session: ClientSession | None, proxy: SealedProxy, base_url: URL) -> None:
        if session is not None:
            _validate_session(session)
        self._session = session
        self._is_borrowed = session is not None
        self._trusts_environment = session is not None and session.trust_env
        self._proxy: Proxy | Literal[False] | None = parse_proxy(proxy)
        self._environment_proxies: dict[tuple[str, str | None, int | None], Proxy | None] = {}
        self._connector: CleanPoolConnector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reading: set[aiohttp.ClientResponse] = set()
        self._is_closed = False
        if self._proxy is None and not self._is_borrowed:
            self._find_environment_proxy(base_url)

    @property
    def is_closed(self) -> bool:
        """Return True if the client or the session is closed."""
        return self._is_closed or (self._session is not None and self._session.closed)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets of the proxies in use."""
        proxies = (self._proxy, *self._environment_proxies.values())
        return tuple(secret for proxy in proxies if proxy for secret in proxy.secrets)

    def get_session(self) -> ClientSession:
        """Return the session. The first call makes it.

        Raises:
            RuntimeError: The client or the session is closed, or another event loop uses it.
        """
        if self._is_closed:
            raise RuntimeError("the client was closed")
        self._check_loop(asyncio.get_running_loop())
        if self._session is None:
            self._connector = CleanPoolConnector()
            self._session = ClientSession(
                connector=self._connector, cookie_jar=aiohttp.DummyCookieJar(), headers=_HEADERS
            )
        if self._session.closed:
            raise RuntimeError("the ClientSession that was given as session= is closed")
        return self._session

    def request(
        self,
        method: str,
        url: URL,
        credential: Credential,
        form: bytes | None,
        timeout: ClientTimeout,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Return a context manager that sends one request, without retry or redirect."""
        session = self.get_session()
        headers = dict(_HEADERS) if self._is_borrowed else {}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        # aiohttp fails if both ~/.netrc and the request have credentials: set them in _adapt.
        if not self._trusts_environment:
            headers[credential.name] = credential.value
        return session.request(
            method,
            url,
            data=form,
            headers=headers,
            allow_redirects=False,
            auto_decompress=True,
            raise_for_status=False,
            # No partial object: aioresponses would deep-copy it, and with it the event loop.
            middlewares=(NoHiddenRetry(lambda request: self._adapt(request, credential)),),
            timeout=timeout,
        )

    async def read_chunks(self, response: aiohttp.ClientResponse, limit: int) -> list[bytes]:
        """Return the body. If it is larger than `limit` bytes, return its start and disconnect.

        The caller joins the chunks once. Growing a buffer takes four times as long. Joining a
        body that is too large needs its memory twice.
        """
        chunks: list[bytes] = []
        length = 0
        self._reading.add(response)
        try:
            while length <= limit and (chunk := await response.content.readany()):
                chunks.append(chunk)
                length += len(chunk)
        except RuntimeError as error:  # aiohttp's error for a connection that was closed
            raise aiohttp.ClientConnectionError(str(error)) from None
        finally:
            self._reading.discard(response)
        if length > limit:
            response.close()
        return chunks

    def retire_connections(self) -> None:
        """Reuse no connection made so far, unless the session is the caller's."""
        if self._connector is not None:
            self._connector.retire_connections()

    async def aclose(self) -> None:
        """Close the session if it was made here. Closing twice is allowed.

        Raises:
            RuntimeError: The session belongs to another event loop that is still open.
        """
        if self._loop is not None and not self._loop.is_closed():
            self._check_loop(asyncio.get_running_loop())
        self._is_closed = True
        if self._session is not None and not self._is_borrowed:
            for response in tuple(self._reading):
                response.close()  # its reader would wait forever
            await self._session.close()

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise RuntimeError(
                "the client belongs to the event loop of its first call;"
                " create one client for each loop"
            )

    def _adapt(self, request: aiohttp.ClientRequest, credential: Credential) -> None:
        """Set the credential and the proxy of a request that aiohttp has built."""
        if self._trusts_environment:
            request.headers.popall("Authorization", None)  # from ~/.netrc
            request.headers[credential.name] = credential.value
        proxy = self._choose_proxy(request)
        if proxy is False:
            request.update_proxy(None, None, None)
        elif proxy is not None:
            is_tunnel = request.is_ssl()
            request.update_proxy(proxy.url, None, proxy.headers if is_tunnel else None)
            if not is_tunnel:
                request.headers.update(proxy.headers)

    def _choose_proxy(self, request: aiohttp.ClientRequest) -> Proxy | Literal[False] | None:
        """Return the proxy for a request, False for no proxy, None to keep the session's."""
        if self._proxy is not None:
            return self._proxy
        if self._is_borrowed and not self._trusts_environment:
            return None
        proxy = self._find_environment_proxy(request.url)
        # aiohttp sends credentials from ~/.netrc to a proxy from the environment, so replace it.
        # A proxy of the session itself stays.
        if proxy is None or (self._is_borrowed and request.proxy != proxy.url):
            return None
        return proxy if proxy.may_carry(request.url) else False

    def _find_environment_proxy(self, url: URL) -> Proxy | None:
        origin = (url.scheme, url.raw_host, url.port)
        if origin not in self._environment_proxies:
            self._environment_proxies[origin] = find_environment_proxy(url)
        return self._environment_proxies[origin]


def limit_request(timeout: Timeout) -> ClientTimeout:
    """Return the time limits of one request. The call itself limits the total."""
    # `connect` would include the wait for a free connection.
    return ClientTimeout(total=None, sock_connect=timeout.connect, sock_read=timeout.read)


def reason_of(error: Exception) -> str:
    """Return the reason for a failure, without the server's text, which may hold half a secret."""
    text = str(error)
    if not isinstance(error, OSError):
        message = error.message if isinstance(error, aiohttp.ClientResponseError) else text
        text = re.split(r"[:'\"`\n]", message)[0].strip()
    return f"{type(error).__name__}: {text}"


def _validate_session(session: object) -> None:
    if not isinstance(session, ClientSession):
        raise ValueError("session must be an aiohttp.ClientSession")
    if session.auth is not None:
        raise ValueError("session must not have auth=: the client sends its own credentials")
    if session.trust_env and "Authorization" in session.headers:
        raise ValueError(
            "session must not have both trust_env=True and an Authorization header:"
            " aiohttp rejects them if ~/.netrc has credentials"
        )
