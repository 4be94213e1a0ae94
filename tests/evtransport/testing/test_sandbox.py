"""Base class of the sandboxes, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import islice
from urllib.request import urlopen

import aiohttp
import attrs
import pytest
from aiohttp import web

from evtransport.testing.faults import RETRYABLE, Fault, SandboxResponse
from evtransport.testing.sandbox import Channel, RecordedRequest, Sandbox, running_in_thread
from tests.support.waiting import iterate_loop, loop_until

BODY = b'{"items":[1,2,3]}'


@attrs.define(kw_only=True, eq=False, repr=False)
class Echo(Sandbox):
    _prefix = "/api"

    async def _respond(self, request: web.BaseRequest, path: str) -> SandboxResponse:
        return SandboxResponse(BODY, 404 if path.endswith("/missing") else 200)


def respond_with(response: SandboxResponse) -> Callable[..., Awaitable[SandboxResponse]]:
    async def respond(*_: object) -> SandboxResponse:
        return response

    return respond


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def fetch(http: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    # aiohttp repeats a GET after a disconnect, but never a POST.
    async with http.post(url) as response:
        return response.status, await response.read()


def statuses(sandbox: Sandbox) -> list[int | None]:
    return [request.status for request in sandbox.requests]


async def test_a_record_holds_the_request_and_its_fault_but_no_secret(
    http: aiohttp.ClientSession,
) -> None:
    fault = Fault.status(429, retry_after=1.5)
    async with Echo(faults=[fault]) as sandbox:
        url = f"{sandbox.base_url}/a/missing?x=1&y=%C3%A9&x=2"
        headers = {"Authorization": "Bearer hush-hush"}
        for expected in ((429, "1.5"), (404, None)):
            async with http.get(url, headers=headers) as response:
                assert (response.status, response.headers.get("Retry-After")) == expected
        sent = ("GET", "/api/a/missing", {"x": "1", "y": "é"})
        assert sandbox.requests == [
            RecordedRequest(*sent, 429, fault),
            RecordedRequest(*sent, 404, None),
        ]
        assert "hush-hush" not in repr(sandbox.requests)


async def test_a_body_is_truncated_and_a_head_is_missing(http: aiohttp.ClientSession) -> None:
    async with Echo(faults=[Fault.truncate(), Fault.disconnect()]) as sandbox:
        async with http.get(sandbox.base_url) as response:
            assert response.content_length == len(BODY)
            half = len(BODY) // 2
            assert await response.content.readexactly(half) == BODY[:half]
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await fetch(http, sandbox.base_url)
        assert statuses(sandbox) == [200, None]


async def test_a_slow_body_is_sent_in_parts_with_pauses(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def record(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    body = b"x" * 600_000
    monkeypatch.setattr(Echo, "_respond", respond_with(SandboxResponse(body, seconds=6)))
    async with Echo() as sandbox:
        monkeypatch.setattr(asyncio, "sleep", record)
        assert await fetch(http, sandbox.base_url) == (200, body)
        monkeypatch.undo()
    pauses = [seconds for seconds in slept if seconds]
    assert len(pauses) == 3
    assert sum(pauses) == pytest.approx(6)


async def test_faults_are_read_lazily_and_in_order(http: aiohttp.ClientSession) -> None:
    faults = iter([None, Fault.status(500), Fault.stall(0.001), Fault.status(503)])
    async with Echo(faults=faults) as sandbox:
        assert [(await fetch(http, sandbox.base_url))[0] for _ in range(3)] == [200, 500, 200]
        assert next(faults) == Fault.status(503)
        assert await fetch(http, sandbox.base_url) == (200, BODY)


def test_the_seed_and_the_rate_determine_the_faults() -> None:
    def draw(rate: float, seed: int) -> list[Fault | None]:
        channel = Echo(fault_rate=rate, seed=seed)._channel("/")
        return list(islice(channel.faults, 200))

    assert draw(0.5, 7) == draw(0.5, 7) != draw(0.5, 8)
    assert {*draw(0.5, 7)} == {None, *RETRYABLE}
    assert None not in draw(1, 0)


def test_only_the_last_10_000_requests_are_kept() -> None:
    channel = Channel(iter(()))
    for number in range(10_002):
        channel.record(RecordedRequest("GET", f"/{number}", {}, 200, None))
    paths = [request.path for request in channel.requests]
    assert paths == [f"/{number}" for number in range(2, 10_002)]


async def test_requests_in_flight_are_counted_and_closing_cancels_them(
    http: aiohttp.ClientSession,
) -> None:
    before = asyncio.all_tasks()
    async with Echo(faults=[Fault.stall(3600)] * 4) as sandbox:
        calls = [asyncio.create_task(fetch(http, sandbox.base_url)) for _ in range(4)]
        await loop_until(lambda: sandbox.in_flight == 4)
        calls.pop().cancel()
        await loop_until(lambda: sandbox.in_flight == 3)
        await fetch(http, sandbox.base_url)
        await sandbox.aclose()
        assert (sandbox.in_flight, sandbox.peak_in_flight) == (0, 4)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, aiohttp.ServerDisconnectedError) for outcome in outcomes)
    assert statuses(sandbox) == [None, 200, None, None, None]
    assert asyncio.all_tasks() == before


async def test_a_sandbox_runs_between_start_and_close(http: aiohttp.ClientSession) -> None:
    sandbox = Echo()
    for count in (1, 2):
        await sandbox.aclose()
        assert repr(sandbox) == "<Echo not running>"
        with pytest.raises(RuntimeError, match="not running"):
            _ = sandbox.base_url
        async with sandbox:
            assert repr(sandbox) == f"<Echo {sandbox.origin}>"
            assert await fetch(http, sandbox.base_url) == (200, BODY)
            assert len(sandbox.requests) == count
            with pytest.raises(RuntimeError, match="already running"):
                await sandbox.start()


async def test_the_sandbox_listens_on_the_given_port(http: aiohttp.ClientSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sandbox = Echo(port=server.getsockname()[1])
        with pytest.raises(OSError, match="Address already in use"):
            await sandbox.start()
    async with sandbox:
        assert await fetch(http, sandbox.base_url) == (200, BODY)


@pytest.mark.parametrize(
    "arguments",
    [{"port": -1}, {"port": 65536}, {"latency": -0.1}, {"fault_rate": 1.1}, {"seed": 0.5}],
)
def test_an_argument_out_of_range_is_rejected_by_name(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Echo(**arguments)  # type: ignore[arg-type]


def test_synchronous_code_runs_a_sandbox_in_a_thread_that_ends() -> None:
    before = threading.active_count()
    with pytest.raises(KeyError), running_in_thread(Echo()) as sandbox:
        with urlopen(sandbox.base_url) as response:  # noqa: S310
            assert response.read() == BODY
        raise KeyError
    assert repr(sandbox) == "<Echo not running>"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(OSError, match="in use"),
        running_in_thread(Echo(port=server.getsockname()[1])),
    ):
        pytest.fail("the block must not run")
    assert threading.active_count() == before


@pytest.mark.parametrize("iterations", range(5))
async def test_a_connection_that_arrives_just_before_the_end_is_closed(iterations: int) -> None:
    with socket.socket() as client:
        client.setblocking(False)
        async with Echo() as sandbox:
            client.connect_ex(("127.0.0.1", int(sandbox.origin.rpartition(":")[2])))
            await iterate_loop(iterations)
        async with asyncio.timeout(10.0):
            with suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""


async def test_a_sandbox_whose_start_was_cancelled_can_start_again() -> None:
    sandbox = Echo()
    start = asyncio.create_task(sandbox.start())
    await iterate_loop(1)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await sandbox.start()
    await sandbox.aclose()
