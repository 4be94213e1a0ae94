"""An event loop whose time is simulated, and a server that answers without sockets.

Sockets don't fit such a loop: time passes as soon as no task can run, even if a packet is on its
way. And aiohttp's own timers stop the time every 15 simulated seconds.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import attrs
from multidict import CIMultiDict
from yarl import URL

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox
from evtransport.auth import Credential
from evtransport.testing.faults import SandboxResponse
from evtransport.testing.sandbox import RecordedRequest

T = TypeVar("T")

ORIGIN = "http://127.0.0.1:9"
"""Address that no request reaches."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Event loop that jumps to its next timer when nothing else can run."""

    def __init__(self) -> None:
        self._time = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Return the simulated time in seconds."""
        return self._time

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._time += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Selector that lets time pass instead of waiting for it."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events: list[tuple[selectors.SelectorKey, int]] = super().select(timeout and 0)
        if timeout and not events:
            self._loop.jump(timeout)
        return events


def run_simulated(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new simulated loop."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


@attrs.frozen
class _Request:
    """The part of aiohttp's request that a sandbox uses."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    form: bytes

    async def read(self) -> bytes:
        return self.form


@attrs.define(eq=False)
class _Response:
    """The part of aiohttp's response that a client uses. It is its own content."""

    sandbox_response: SandboxResponse
    _is_read: bool = False

    @property
    def status(self) -> int:
        return self.sandbox_response.status

    @property
    def headers(self) -> CIMultiDict[str]:
        return CIMultiDict(self.sandbox_response.headers)

    @property
    def content_length(self) -> int:
        return len(self.sandbox_response.body)

    @property
    def content(self) -> _Response:
        return self

    async def readany(self) -> bytes:
        if self._is_read:
            return b""
        if self.sandbox_response.sent is not None:
            raise aiohttp.ClientPayloadError("the body is truncated")
        self._is_read = True
        return self.sandbox_response.body

    def close(self) -> None:
        pass


@attrs.define(eq=False)
class InProcessServer:
    """Answers the requests of clients by calling a sandbox that is not running.

    Args:
        sandbox: Sandbox.
        is_down: Returns True while all connections fail.
        before: Called before each request, such as to bring the sandbox up to date.

    Attributes:
        pages: Number of requests for pages, with those that failed.
    """

    sandbox: DepotSandbox
    is_down: Callable[[], bool] = lambda: False
    before: Callable[[], None] = lambda: None
    pages: int = attrs.field(init=False, default=0)

    def client(self, **options: Any) -> DepotClient:
        """Return a client of the sandbox, whose tokens live by the time of the running loop."""
        depot = DepotClient(
            client_id=self.sandbox.client_id,
            client_secret=self.sandbox.client_secret,
            base_url=f"{ORIGIN}/v1",
            token_url=f"{ORIGIN}/oauth2/token",
            **options,
        )
        self.connect(depot)
        depot._transport.auth.clock = asyncio.get_running_loop().time  # type: ignore[attr-defined]
        return depot

    def connect(self, depot: DepotClient) -> None:
        """Let the sandbox respond to the requests of a client."""
        depot._transport._sessions.request = self._request  # type: ignore[method-assign, assignment]

    def _request(
        self, method: str, url: URL, credential: Credential, form: bytes | None, _: object
    ) -> AbstractAsyncContextManager[Any]:
        headers = {credential.name: credential.value}
        return self._respond(url.raw_path, _Request(method, headers, url.query, form or b""))

    @asynccontextmanager
    async def _respond(self, path: str, request: _Request) -> AsyncGenerator[_Response]:
        channel, response = self.sandbox._channel(path), None
        self.pages += request.method == "GET"
        with channel.open() as fault:
            await asyncio.sleep(self.sandbox.latency)
            self.before()
            if self.is_down():
                raise ConnectionRefusedError("the server is down")
            found = await self.sandbox._respond(request, path)  # type: ignore[arg-type]
            response = found.apply_fault(fault)
            status = response.status if response else None
            query = dict(request.query)
            channel.record(RecordedRequest(request.method, path, query, status, fault))
        if response is None:
            raise aiohttp.ServerDisconnectedError
        yield _Response(response)
