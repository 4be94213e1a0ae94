"""Base class of the sandboxes, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

import aiohttp
import attrs
import pytest
from aiohttp import web

from evtransport.testing.faults import RETRYABLE, Fault, SandboxResponse
from evtransport.testing.sandbox import Channel, RecordedRequest, Sandbox, running_in_thread

BODY = b'{"items":[1,2,3]}'


@attrs.define(kw_only=True, eq=False, repr=False)
class Echo(Sandbox):
    _prefix = "/api"

    async def _respond(self, request: web.BaseRequest, path: str) -> SandboxResponse:
        return SandboxResponse(BODY, 404 if path.endswith("/missing") else 200)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def thread_count() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


async def fetch(http: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    # aiohttp repeats a GET after a disconnect, but never a POST.
    async with http.post(url) as response:
        return response.status, await response.read()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_fault_is_sent_and_recorded(http: aiohttp.ClientSession) -> None:
    fault = Fault.status(429, retry_after=1.5)
    async with Echo(faults=[fault]) as sandbox, http.get(sandbox.base_url) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "1.5")
        assert sandbox.requests == [RecordedRequest("GET", "/api", {}, 429, fault)]


async def test_a_disconnect_precedes_the_head(http: aiohttp.ClientSession) -> None:
    async with Echo(faults=[Fault.disconnect()]) as sandbox:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await fetch(http, sandbox.base_url)
        assert [request.status for request in sandbox.requests] == [None]


async def test_a_truncated_body_is_shorter_than_announced(http: aiohttp.ClientSession) -> None:
    async with (
        Echo(faults=[Fault.truncate()]) as sandbox,
        http.get(sandbox.base_url) as response,
    ):
        assert response.content_length == len(BODY)
        half = len(BODY) // 2
        assert await response.content.readexactly(half) == BODY[:half]
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_faults_are_read_lazily_and_in_order(http: aiohttp.ClientSession) -> None:
    drawn = []

    def faults() -> Iterator[Fault | None]:
        for fault in (None, Fault.status(500), Fault.stall(0.001)):
            drawn.append(fault)
            yield fault

    async with Echo(faults=faults()) as sandbox:
        assert drawn == []
        assert [(await fetch(http, sandbox.base_url))[0] for _ in range(2)] == [200, 500]
        assert drawn == [None, Fault.status(500)]
        assert [(await fetch(http, sandbox.base_url)) for _ in range(3)] == [(200, BODY)] * 3


def test_the_seed_and_the_rate_determine_the_faults() -> None:
    def draw(rate: float, seed: int) -> list[Fault | None]:
        channel = Echo(fault_rate=rate, seed=seed)._channel("/")
        return list(islice(channel.faults, 200))

    assert draw(0.5, 7) == draw(0.5, 7) != draw(0.5, 8)
    assert {*draw(0.5, 7)} == {None, *RETRYABLE}
    assert None not in draw(1, 0)
    assert {*draw(0, 0)} == {None}


async def test_a_record_holds_the_request_but_no_secret(http: aiohttp.ClientSession) -> None:
    async with Echo() as sandbox:
        url = f"{sandbox.base_url}/a/missing?x=1&y=%C3%A9&x=2"
        await http.get(url, headers={"Authorization": "Bearer hush-hush"})
        assert sandbox.requests == [
            RecordedRequest("GET", "/api/a/missing", {"x": "1", "y": "é"}, 404, None)
        ]
        assert "hush-hush" not in repr(sandbox.requests)


def test_only_the_last_10_000_requests_are_kept() -> None:
    channel = Channel(iter(()))
    for number in range(10_002):
        channel.record(RecordedRequest("GET", f"/{number}", {}, 200, None))

    paths = [request.path for request in channel.requests]
    assert paths == [f"/{number}" for number in range(2, 10_002)]


async def test_requests_in_flight_are_counted_and_closing_cancels_them(
    http: aiohttp.ClientSession,
) -> None:
    async with Echo(faults=[Fault.stall(3600)] * 3) as sandbox:
        calls = [asyncio.create_task(fetch(http, sandbox.base_url)) for _ in range(3)]
        await until(lambda: sandbox.in_flight == 3)
        await fetch(http, sandbox.base_url)
        assert (sandbox.in_flight, sandbox.peak_in_flight) == (3, 4)
        await sandbox.aclose()
        assert (sandbox.in_flight, sandbox.peak_in_flight) == (0, 4)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, aiohttp.ServerDisconnectedError) for outcome in outcomes)
    assert [request.status for request in sandbox.requests] == [200, None, None, None]


async def test_an_abandoned_request_is_not_in_flight(http: aiohttp.ClientSession) -> None:
    async with Echo(latency=3600) as sandbox:
        call = asyncio.create_task(fetch(http, sandbox.base_url))
        await until(lambda: sandbox.in_flight == 1)
        call.cancel()
        await until(lambda: sandbox.in_flight == 0)
        assert [request.status for request in sandbox.requests] == [None]


async def test_closing_leaves_no_idle_connection_and_no_task() -> None:
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as keep_alive, Echo() as sandbox:
        await fetch(keep_alive, sandbox.base_url)
        await sandbox.aclose()
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
            with pytest.raises(RuntimeError, match="running already"):
                await sandbox.start()
            await sandbox.aclose()


async def test_the_sandbox_listens_on_the_given_port(http: aiohttp.ClientSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sandbox = Echo(port=port)
        with pytest.raises(OSError, match="address already in use"):
            await sandbox.start()
    async with sandbox:
        assert sandbox.base_url == f"http://127.0.0.1:{port}/api"
        assert await fetch(http, sandbox.base_url) == (200, BODY)


@pytest.mark.parametrize(
    "arguments",
    [{"port": -1}, {"port": 65536}, {"latency": -0.1}, {"fault_rate": 1.1}, {"seed": 0.5}],
)
def test_an_argument_out_of_range_is_refused_by_name(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Echo(**arguments)  # type: ignore[arg-type]


@pytest.mark.usefixtures("thread_count")
def test_synchronous_code_runs_a_sandbox_in_a_thread() -> None:
    async def fetch_alone() -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session:
            return await fetch(session, sandbox.base_url)

    with running_in_thread(Echo()) as sandbox:
        assert asyncio.run(fetch_alone()) == (200, BODY)
    assert repr(sandbox) == "<Echo not running>"


@pytest.mark.usefixtures("thread_count")
def test_a_failed_start_in_a_thread_raises() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(OSError, match="address already in use"),
        running_in_thread(Echo(port=server.getsockname()[1])),
    ):
        pytest.fail("the block must not run")


@pytest.mark.usefixtures("thread_count")
def test_an_error_in_the_block_ends_the_thread() -> None:
    with pytest.raises(KeyError), running_in_thread(Echo()):
        raise KeyError
