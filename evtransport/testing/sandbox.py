"""Base of both sandboxes: an HTTP server on loopback that records requests and injects faults."""

from __future__ import annotations

import abc
import asyncio
import random
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import attrs
from aiohttp import web

from evtransport.testing.faults import RETRYABLE, Fault, SandboxResponse, validate_number
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

__all__ = ["Channel", "RecordedRequest", "Sandbox", "running_in_thread"]

# Longest wait for a slow reader when a sandbox stops, in seconds.
_GRACE = 0.05
_CHUNK = 256 * 1024
_KEPT_REQUESTS = 10_000
_ACCEPT_ITERATIONS = 5


@attrs.frozen
class RecordedRequest:
    """A request received by a sandbox, without its headers: they carry credentials.

    Attributes:
        method: HTTP method.
        path: Path without the query, percent-encoded as received.
        query: Decoded query, with the first value of each name.
        status: Status of the response. None if the connection closed before the headers.
        fault: Injected fault, or None.

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox() as sandbox:
        ...     async with ThorClient(api_key=sandbox.api_key, base_url=sandbox.base_url) as thor:
        ...         analytics = await thor.get_analytics("TB-0001")
        ...     print(sandbox.requests[-1].path, sandbox.requests[-1].status)
        /latest/integration/analytics/TB-0001 200
    """

    method: str
    path: str
    query: Mapping[str, str]
    status: int | None
    fault: Fault | None


@attrs.define(eq=False)
class Channel:
    """Requests of one kind: the last 10,000, the number in flight, and the next faults.

    Example:
        >>> from evtransport.testing import Channel
        >>> Channel(iter([])).requests
        []
    """

    faults: Iterator[Fault | None]
    requests: list[RecordedRequest] = attrs.field(factory=list[RecordedRequest])
    in_flight: int = 0
    peak_in_flight: int = 0

    def record(self, request: RecordedRequest) -> None:
        """Add a request. Keep the last 10,000."""
        self.requests.append(request)
        del self.requests[:-_KEPT_REQUESTS]

    @contextmanager
    def open(self) -> Generator[Fault | None]:
        """Count a request as in flight inside the block. Yield its fault."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            yield next(self.faults, None)
        finally:
            self.in_flight -= 1


def _schedule(faults: Iterable[Fault | None], rate: float, seed: int) -> Iterator[Fault | None]:
    yield from faults
    draw = random.Random(seed)  # noqa: S311
    while True:
        yield draw.choice(RETRYABLE) if draw.random() < rate else None


@attrs.define(kw_only=True, eq=False, repr=False)
class Sandbox(abc.ABC):
    """An HTTP server on loopback that simulates a vendor's API.

    Use it with `async with`, or from synchronous code with `running_in_thread`. A closed sandbox
    can be started again.

    Args:
        port: Port to listen on. 0 selects a free port at every start.
        latency: Seconds added to each response. May be changed while the sandbox runs.
        faults: Faults of the API requests, in the order of arrival. None is a normal response. The
            sandbox reads them lazily. After the last one, `fault_rate` decides.
        fault_rate: Share (0 to 1) of API requests that get a random fault of `RETRYABLE`.
        seed: Seed of the fault selection and of the simulated data.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> from thorclient.sandbox import ThorSandbox
        >>> async with ThorSandbox(latency=0.1) as sandbox:
        ...     print(sandbox.base_url)
        http://127.0.0.1:.../latest/integration
    """

    _prefix: ClassVar[str] = ""

    _port: int = attrs.field(default=0, alias="port")
    latency: float = 0.0
    _faults: Iterable[Fault | None] = attrs.field(default=(), alias="faults")
    _fault_rate: float = attrs.field(default=0.0, alias="fault_rate")
    _seed: int = attrs.field(default=0, alias="seed")
    _api: Channel = attrs.field(init=False)
    _runner: web.ServerRunner | None = attrs.field(init=False, default=None)
    _listener: socket.socket = attrs.field(init=False)
    _origin: str | None = attrs.field(init=False, default=None)
    _busy: set[asyncio.Task[None]] = attrs.field(init=False, factory=set[asyncio.Task[None]])

    def __attrs_post_init__(self) -> None:
        validate_int("port", self._port, minimum=0, maximum=65535)
        validate_number("latency", self.latency)
        validate_number("fault_rate", self._fault_rate, maximum=1)
        validate_int("seed", self._seed, minimum=0)
        self._api = Channel(_schedule(self._faults, self._fault_rate, self._seed))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._origin or 'not running'}>"

    @property
    def origin(self) -> str:
        """Return scheme, host and port. Raise RuntimeError if the sandbox is not running."""
        if self._origin is None:
            raise RuntimeError("the sandbox is not running: start it with `async with`")
        return self._origin

    @property
    def base_url(self) -> str:
        """Return the base URL for a client. Raise RuntimeError if the sandbox is not running."""
        return self.origin + self._prefix

    @property
    def requests(self) -> list[RecordedRequest]:
        """Return the last 10,000 API requests, in the order of their responses."""
        return self._api.requests

    @property
    def in_flight(self) -> int:
        """Return the number of API requests in flight."""
        return self._api.in_flight

    @property
    def peak_in_flight(self) -> int:
        """Return the highest number of API requests that were in flight at one time."""
        return self._api.peak_in_flight

    async def start(self) -> None:
        """Start to listen.

        Raises:
            OSError: The port is in use.
            RuntimeError: The sandbox is already running.
        """
        if self._runner is not None:
            raise RuntimeError("the sandbox is already running")
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        try:
            await self._runner.setup()
            await web.SockSite(self._runner, self._listener).start()
        except BaseException:
            await self.aclose()
            raise
        self._origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def aclose(self) -> None:
        """Stop at once and cancel the requests in flight. Further calls do nothing."""
        runner, self._runner, self._origin = self._runner, None, None
        if runner is not None:
            await self._stop_accepting()
            # The runner waits for `_GRACE`, but not for cancelled tasks to end.
            for task in self._busy:
                task.cancel()
            await asyncio.gather(*self._busy, return_exceptions=True)
            await runner.cleanup()
            self._listener.close()

    async def _stop_accepting(self) -> None:
        """Accept no more connections, and let those that were accepted become known to the runner.

        If asyncio closes a server between these two steps, it leaves the connection open.
        """
        with suppress(NotImplementedError):  # The event loop of Windows.
            asyncio.get_running_loop().remove_reader(self._listener)
        for _ in range(_ACCEPT_ITERATIONS):
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @abc.abstractmethod
    async def _respond(self, request: web.BaseRequest, path: str) -> SandboxResponse:
        """Return the vendor's response. `path` is percent-encoded and without the query."""

    def _channel(self, path: str) -> Channel:
        """Return the channel that counts the requests of a path."""
        return self._api

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        channel, response = self._channel(path), None
        self._busy.add(request.task)
        try:
            with channel.open() as fault:
                try:
                    await asyncio.sleep(self.latency + (fault.seconds if fault else 0))
                    response = (await self._respond(request, path)).apply_fault(fault)
                finally:
                    # Record before sending, so that a client with a response finds the record.
                    status = response.status if response else None
                    query = dict(request.query)
                    channel.record(RecordedRequest(request.method, path, query, status, fault))
                if response is not None and response.encoding is not None:
                    response = await asyncio.to_thread(response.compressed)
                return await _send(request, response)
        finally:
            self._busy.discard(request.task)


async def _send(request: web.BaseRequest, content: SandboxResponse | None) -> web.StreamResponse:
    if content is None:
        request.protocol.force_close()
        return web.Response()
    response = web.StreamResponse(status=content.status, headers=content.headers)
    response.content_type = content.content_type
    response.content_length = len(content.body)
    # A client that disconnects is not a server error.
    with suppress(ConnectionResetError):
        await response.prepare(request)
        body = memoryview(content.body)[: content.sent]
        for offset in range(0, len(body), _CHUNK):
            chunk = body[offset : offset + _CHUNK]
            if content.seconds:
                await asyncio.sleep(content.seconds * len(chunk) / len(content.body))
            await response.write(chunk)
    if content.sent is not None:
        request.protocol.force_close()
    return response


S = TypeVar("S", bound=Sandbox)


@contextmanager
def running_in_thread(sandbox: S) -> Generator[S]:
    """Run a sandbox in its own thread and event loop, for synchronous code.

    Args:
        sandbox: A sandbox that is not running.

    Yields:
        The same sandbox, running. After the block it is closed and the thread has ended.

    Raises:
        OSError: The port is in use.

    Example:
        >>> from thorclient.sandbox import ThorSandbox, running_in_thread
        >>> def main() -> None:
        ...     with running_in_thread(ThorSandbox()) as sandbox:
        ...         print(sandbox.environment)
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result()
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
