"""What the base of both sandboxes promises, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import aiohttp
import attrs
import msgspec
import pytest

from evtransport.testing.sandbox import (
    RETRYABLE,
    Answer,
    Channel,
    Fault,
    RecordedRequest,
    Sandbox,
    require_number,
    running_in_thread,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from aiohttp import web

TRUTH = {"items": [1, 2, 3], "name": "zoë"}


@attrs.define(kw_only=True, eq=False, repr=False)
class Echo(Sandbox):
    prefix = "/api"

    async def answer(self, request: web.BaseRequest, path: str) -> Answer:
        return Answer.json(TRUTH, 404 if path.endswith("/missing") else 200)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    # A connector that keeps nothing: each test sees its own requests and no hidden second try.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def fetch(http: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    async with http.post(url) as response:
        return response.status, await response.read()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def play(http: aiohttp.ClientSession, fault: Fault) -> tuple[int, bytes, RecordedRequest]:
    async with Echo(faults=[fault]) as sandbox:
        status, body = await fetch(http, sandbox.base_url)
        [seen] = sandbox.requests
    assert seen.fault == fault
    assert seen.status == status
    return status, body, seen


async def test_an_answer_without_a_fault_is_the_truth(http: aiohttp.ClientSession) -> None:
    async with Echo() as sandbox:
        status, body = await fetch(http, sandbox.base_url)
    assert status == 200
    assert msgspec.json.decode(body) == TRUTH


async def test_a_status_fault_answers_with_its_code_and_a_message(
    http: aiohttp.ClientSession,
) -> None:
    status, body, _ = await play(http, Fault.status(503))
    assert status == 503
    assert msgspec.json.decode(body) == {"message": "a fault that was asked for"}


@pytest.mark.parametrize("code", [204, 304])
async def test_a_status_that_has_no_body_is_sent_without_one(
    http: aiohttp.ClientSession, code: int
) -> None:
    assert (await play(http, Fault.status(code)))[:2] == (code, b"")


@pytest.mark.parametrize("body", ["null", b"null"])
async def test_a_status_fault_can_carry_any_body(
    http: aiohttp.ClientSession, body: str | bytes
) -> None:
    assert (await play(http, Fault.status(200, body=body)))[:2] == (200, b"null")


@pytest.mark.parametrize(
    ("wait", "header"),
    [(None, None), (0, "0"), (1.5, "1.5"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2],
)
async def test_a_status_fault_says_when_to_come_back(
    http: aiohttp.ClientSession, wait: float | str | None, header: str | None
) -> None:
    async with (
        Echo(faults=[Fault.status(429, retry_after=wait)]) as sandbox,
        http.get(sandbox.base_url) as response,
    ):
        assert response.status == 429
        assert response.headers.get("Retry-After") == header


async def test_a_disconnect_comes_before_the_head(http: aiohttp.ClientSession) -> None:
    async with Echo(faults=[Fault.disconnect()]) as sandbox:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await fetch(http, sandbox.base_url)
        assert [seen.status for seen in sandbox.requests] == [None]


async def test_a_truncated_answer_is_shorter_than_it_announced(
    http: aiohttp.ClientSession,
) -> None:
    async with (
        Echo(faults=[Fault.truncate()]) as sandbox,
        http.get(sandbox.base_url) as response,
    ):
        whole = msgspec.json.encode(TRUTH)
        assert response.content_length == len(whole)
        assert await response.content.readexactly(len(whole) // 2) == whole[: len(whole) // 2]
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_stalled_answer_is_the_truth_in_the_end(http: aiohttp.ClientSession) -> None:
    status, body, _ = await play(http, Fault.stall(0.01))
    assert (status, msgspec.json.decode(body)) == (200, TRUTH)


async def test_an_html_fault_answers_200_with_a_page(http: aiohttp.ClientSession) -> None:
    async with (
        Echo(faults=[Fault.html()]) as sandbox,
        http.get(sandbox.base_url) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/html"
        assert (await response.text()).startswith("<!doctype html>")


async def test_garbage_is_json_cut_in_the_middle(http: aiohttp.ClientSession) -> None:
    status, body, _ = await play(http, Fault.garbage())
    whole = msgspec.json.encode(TRUTH)
    assert (status, body) == (200, whole[: len(whole) // 2])
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body)


async def test_bad_utf8_sits_inside_a_string(http: aiohttp.ClientSession) -> None:
    status, body, _ = await play(http, Fault.bad_utf8())
    assert status == 200
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    assert msgspec.json.decode(body.decode("utf-8", "ignore")) == TRUTH


async def test_asking_again_mends_every_retriable_fault(http: aiohttp.ClientSession) -> None:
    async with Echo(faults=RETRYABLE) as sandbox:
        for fault in RETRYABLE:
            try:
                status, body = await fetch(http, sandbox.base_url)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
                status, body = 0, b""
            assert (status, body) != (200, msgspec.json.encode(TRUTH)), fault
        assert await fetch(http, sandbox.base_url) == (200, msgspec.json.encode(TRUTH))


async def test_faults_are_taken_lazily_and_in_order(http: aiohttp.ClientSession) -> None:
    taken = []

    def faults() -> Iterator[Fault | None]:
        for fault in (None, Fault.status(500), None):
            taken.append(fault)
            yield fault

    async with Echo(faults=faults()) as sandbox:
        assert taken == []
        assert [(await fetch(http, sandbox.base_url))[0] for _ in range(2)] == [200, 500]
        assert taken == [None, Fault.status(500)]
        assert [(await fetch(http, sandbox.base_url))[0] for _ in range(3)] == [200] * 3


async def drawn(http: aiohttp.ClientSession, rate: float, seed: int) -> list[Fault | None]:
    async with Echo(fault_rate=rate, seed=seed) as sandbox:
        for _ in range(30):
            try:
                await fetch(http, sandbox.base_url)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
                continue
        return [seen.fault for seen in sandbox.requests]


async def test_a_seed_draws_the_same_faults_every_time(http: aiohttp.ClientSession) -> None:
    first = await drawn(http, 0.5, 7)
    assert first == await drawn(http, 0.5, 7)
    assert first != await drawn(http, 0.5, 8)
    assert None in first
    assert set(first) <= {None, *RETRYABLE}


async def test_a_fault_rate_of_one_spares_no_request(http: aiohttp.ClientSession) -> None:
    assert None not in await drawn(http, 1, 0)


async def test_a_record_tells_what_was_asked_and_nothing_secret(
    http: aiohttp.ClientSession,
) -> None:
    async with Echo() as sandbox:
        url = f"{sandbox.base_url}/a/missing?x=1&y=%C3%A9&x=2"
        await http.get(url, headers={"Authorization": "Bearer hush-hush"})
        assert sandbox.requests == [
            RecordedRequest("GET", "/api/a/missing", {"x": "1", "y": "é"}, 404, None)
        ]
        assert "hush-hush" not in repr(sandbox.requests)


def test_only_the_last_10_000_requests_are_kept() -> None:
    channel = Channel(iter(()))
    for number in range(25_000):
        channel.record(RecordedRequest("GET", f"/{number}", {}, 200, None))

    paths = [seen.path for seen in channel.requests]
    assert paths == [f"/{number}" for number in range(15_000, 25_000)]


async def test_requests_in_flight_are_counted(http: aiohttp.ClientSession) -> None:
    async with Echo(faults=[Fault.stall(30)] * 3) as sandbox:
        calls = [asyncio.create_task(fetch(http, sandbox.base_url)) for _ in range(3)]
        await until(lambda: sandbox.in_flight == 3)
        await fetch(http, sandbox.base_url)
        assert (sandbox.in_flight, sandbox.peak_in_flight) == (3, 4)
        await sandbox.aclose()
        assert (sandbox.in_flight, sandbox.peak_in_flight) == (0, 4)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, aiohttp.ServerDisconnectedError) for outcome in outcomes)
    assert [seen.status for seen in sandbox.requests] == [200, None, None, None]


async def test_closing_cancels_the_wait_for_the_latency(http: aiohttp.ClientSession) -> None:
    async with Echo(latency=3600) as sandbox:
        call = asyncio.create_task(fetch(http, sandbox.base_url))
        await until(lambda: sandbox.in_flight == 1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await call


async def test_a_client_that_gives_up_is_no_longer_in_flight(http: aiohttp.ClientSession) -> None:
    async with Echo(latency=3600) as sandbox:
        with pytest.raises(asyncio.TimeoutError):
            await http.get(sandbox.base_url, timeout=aiohttp.ClientTimeout(total=0.05))
        await until(lambda: sandbox.in_flight == 0)
        assert [seen.status for seen in sandbox.requests] == [None]


async def test_closing_leaves_idle_connections_and_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as keep_alive, Echo() as sandbox:
        await fetch(keep_alive, sandbox.base_url)
        await sandbox.aclose()
        assert asyncio.all_tasks() == before


async def test_closing_twice_and_closing_what_never_ran_do_nothing() -> None:
    sandbox = Echo()
    await sandbox.aclose()
    async with sandbox:
        await sandbox.aclose()
        await sandbox.aclose()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.base_url


async def test_a_closed_sandbox_can_be_started_again(http: aiohttp.ClientSession) -> None:
    sandbox = Echo()
    for count in (1, 2):
        async with sandbox:
            assert (await fetch(http, sandbox.base_url))[0] == 200
            assert len(sandbox.requests) == count


async def test_a_running_sandbox_cannot_be_started() -> None:
    async with Echo() as sandbox:
        with pytest.raises(RuntimeError, match="running already"):
            await sandbox.start()


async def test_a_port_of_ones_own_choice_is_used(http: aiohttp.ClientSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sandbox = Echo(port=port)
        with pytest.raises(OSError, match="address already in use"):
            await sandbox.start()
    for _ in range(2):
        async with sandbox:
            assert sandbox.base_url == f"http://127.0.0.1:{port}/api"
            assert (await fetch(http, sandbox.base_url))[0] == 200


async def test_ipv6_addresses_are_bracketed(http: aiohttp.ClientSession) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with Echo(host="::1") as sandbox:
        assert sandbox.base_url.startswith("http://[::1]:")
        assert (await fetch(http, sandbox.base_url))[0] == 200


async def test_the_repr_tells_where_the_sandbox_runs() -> None:
    sandbox = Echo()
    assert repr(sandbox) == "<Echo not running>"
    async with sandbox:
        assert repr(sandbox) == f"<Echo {sandbox.origin}>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"host": ""}, "host"),
        ({"port": -1}, "port"),
        ({"port": 65536}, "port"),
        ({"port": 80.0}, "port must be a whole number"),
        ({"latency": -0.1}, "latency"),
        ({"latency": float("inf")}, "latency"),
        ({"latency": float("nan")}, "latency"),
        ({"latency": "1"}, "latency must be a number"),
        ({"fault_rate": 1.1}, "fault_rate"),
        ({"fault_rate": True}, "fault_rate"),
        ({"seed": 0.5}, "seed"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(
    arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Echo(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [199, 600, 200.0])
def test_a_fault_with_an_impossible_status_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="code"):
        Fault.status(code)


def test_a_fault_that_stalls_for_ever_is_refused() -> None:
    with pytest.raises(ValueError, match="seconds"):
        Fault.stall(float("inf"))


def test_a_number_within_bounds_passes() -> None:
    require_number("n", 1, 1, 1, whole=True)
    require_number("n", 0.5, 0, 1)


def test_synchronous_code_runs_a_sandbox_in_a_thread() -> None:
    before = threading.active_count()
    with running_in_thread(Echo()) as sandbox:
        status, body = asyncio.run(_fetch_alone(sandbox.base_url))
        assert (status, msgspec.json.decode(body)) == (200, TRUTH)
        assert len(sandbox.requests) == 1
    assert repr(sandbox) == "<Echo not running>"
    assert threading.active_count() == before


def test_a_sandbox_that_cannot_start_in_a_thread_says_why() -> None:
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sandbox = Echo(port=taken.getsockname()[1])
        with (
            pytest.raises(OSError, match="address already in use"),
            running_in_thread(sandbox),
        ):
            pytest.fail("the block must not run")
    assert threading.active_count() == before


def test_an_error_in_the_block_still_ends_the_thread() -> None:
    before = threading.active_count()
    with pytest.raises(KeyError), running_in_thread(Echo()):
        raise KeyError
    assert threading.active_count() == before


async def _fetch_alone(url: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session:
        return await fetch(session, url)
