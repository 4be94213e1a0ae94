"""Sessions and connections: ownership, reuse, `~/.netrc`, and closing during calls."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable

import aiohttp
import pytest
from yarl import URL

from evtransport import (
    ApiKey,
    BearerToken,
    ClientCredentials,
    MisdirectedResponse,
    NotFoundError,
    RetryPolicy,
    Secret,
    Transport,
)
from evtransport.auth import Auth
from evtransport.http import Request
from tests.support.error_dump import dump_error
from tests.support.faults import send_extra_response
from tests.support.waiting import loop_until
from tests.support.wire import Wire, reply, stall

SECRET = "s3cr3t/k3y"
REQUEST = Request(("greeting",), bytes)
HELLO = reply(b"hello")

Connect = Callable[..., Transport]


# Reuse. The promises R7 and R9 test repeated requests and cancelled calls.


async def test_a_second_response_in_the_pool_is_not_used_for_the_next_request(
    connect: Connect,
) -> None:
    async with Wire(send_extra_response(lambda _: b"hello", b"unexpected"), HELLO) as wire:
        transport = connect(wire)
        assert await transport.send(REQUEST) == b"hello"
        for _ in range(3):  # even a loop that is late sends and then receives it
            await asyncio.sleep(0.01)
        assert await transport.send(REQUEST) == b"hello"
        assert wire.connections == 2


async def test_a_misdirected_response_retires_the_connections(connect: Connect) -> None:
    def refuse(body: bytes) -> str:
        raise MisdirectedResponse("of another request")

    async with Wire(default=HELLO) as wire:
        transport = connect(wire)
        for connections in (1, 1, 2, 2, 3):
            if connections > wire.connections > 0:
                with pytest.raises(MisdirectedResponse):
                    await transport.send(Request(("greeting",), refuse))
            await transport.send(REQUEST)
            assert wire.connections == connections


# The caller's own sessions.


async def test_a_borrowed_session_is_used_unchanged_and_left_open(connect: Connect) -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}, raise_for_status=True) as session:
        async with Wire(HELLO, HELLO, reply(status=404)) as wire:
            transport = connect(wire, session=session)
            assert await transport.send(REQUEST) == b"hello"
            transport.retire_connections()
            await transport.send(REQUEST)
            with pytest.raises(NotFoundError):
                await transport.send(REQUEST)
            await transport.aclose()
            assert wire.connections == 1  # the session's connections are not retired

        assert not session.closed
    assert wire.received[0].headers["X-Mine"] == "1"
    assert wire.received[0].headers["User-Agent"].startswith("thor-depot-clients/")


async def test_a_session_that_adds_credentials_is_rejected(connect: Connect) -> None:
    headers = {"authorization": "Bearer mine"}
    with warnings.catch_warnings(action="ignore"):  # aiohttp deprecates auth=
        with_auth = aiohttp.ClientSession(auth=aiohttp.BasicAuth("me", "pw"))
    async with (
        Wire() as wire,
        aiohttp.ClientSession(headers=headers, trust_env=True) as trusting,
        with_auth,
    ):
        for session, message in (
            (with_auth, "session must not have auth="),
            (trusting, "both trust_env=True and an Authorization header"),
            ("no", "session must be an aiohttp.ClientSession"),
        ):
            with pytest.raises(ValueError, match=message):
                connect(wire, session=session)


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("trust_env", [False, True])
@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (ApiKey, [{"X-Api-Key": SECRET}]),
        (BearerToken, [{"Authorization": f"Bearer {SECRET}"}]),
        (
            ClientCredentials,
            [
                {"Authorization": "Basic bWU6czNjcjN0L2szeQ=="},
                {"Authorization": "Bearer t0k3n"},
            ],
        ),
    ],
)
async def test_no_credential_in_netrc_is_sent(
    connect: Connect, kind: Callable[..., Auth], sent: list[dict[str, str]], trust_env: bool
) -> None:
    both = reply(b'{"access_token": "t0k3n"}')
    async with Wire(default=both) as wire, aiohttp.ClientSession(trust_env=trust_env) as session:
        secret = Secret(SECRET)
        auth = kind("me", secret, URL(wire.url)) if kind is ClientCredentials else kind(secret)
        await connect(wire, auth=auth, session=session).send(REQUEST)

    names = {"X-Api-Key", "Authorization"}
    headers = [received.headers for received in wire.received]
    assert [{n: v for n, v in one.items() if n in names} for one in headers] == sent


@pytest.mark.parametrize("kind", [LookupError, asyncio.CancelledError])
async def test_an_error_of_a_session_hook_is_raised_without_the_credentials(
    connect: Connect, kind: type[BaseException]
) -> None:
    async def fail(*_: object) -> None:
        raise kind("of the hook")

    hooks = aiohttp.TraceConfig()
    hooks.on_request_end.append(fail)
    async with Wire(HELLO) as wire, aiohttp.ClientSession(trace_configs=[hooks]) as session:
        with pytest.raises(kind, match="of the hook") as caught:
            await connect(wire, session=session).send(REQUEST)

    assert SECRET not in dump_error(caught.value)


# Event loops.


def test_another_loop_is_rejected_until_the_first_is_closed() -> None:
    async def call() -> Transport:
        async with Wire(HELLO) as wire:
            transport = Transport(base_url=URL(wire.url), auth=ApiKey(Secret(SECRET)))
            await transport.send(REQUEST)
            with pytest.raises(RuntimeError, match="belongs to the event loop"):
                await asyncio.to_thread(asyncio.run, transport.aclose())
            await transport._sessions.get_session().close()
            return transport

    transport = asyncio.run(call())
    with pytest.raises(RuntimeError, match="one client for each loop"):
        asyncio.run(transport.send(REQUEST))
    asyncio.run(transport.aclose())


# Closing.


async def test_a_closed_client_or_session_rejects_calls(connect: Connect) -> None:
    async with Wire(HELLO) as wire:
        transport = connect(wire)
        await transport.send(REQUEST)
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(RuntimeError, match="the client was closed"):
            await transport.send(REQUEST)
        session = aiohttp.ClientSession()
        await session.close()
        with pytest.raises(RuntimeError, match="given as session= is closed"):
            await connect(wire, session=session).send(REQUEST)


@pytest.mark.parametrize(
    ("stalled", "in_flight"),
    [
        *(("before the head", 100), ("in the body", 100)),
        ("at the token URL", 1),
    ],
)
async def test_closing_ends_all_calls_in_flight_without_retry(
    connect: Connect, stalled: str, in_flight: int
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
    async with Wire(default=stall(head if stalled == "in the body" else b"")) as wire:
        auth = ClientCredentials("me", Secret(SECRET), URL(wire.url))
        transport = connect(wire, **({"auth": auth} if stalled == "at the token URL" else {}))
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(120)]
        await loop_until(
            lambda: len(wire.received) == in_flight
        )  # the others wait for a connection or the token
        await asyncio.sleep(0.01)
        await transport.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {repr(error) for error in ended} == {"RuntimeError('the client was closed')"}
    assert all(error.__context__ is None for error in ended if isinstance(error, RuntimeError))


async def test_closing_a_borrowed_session_ends_the_waiting_calls(connect: Connect) -> None:
    async with Wire(default=stall()) as wire:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
        transport = connect(wire, session=session, retry=RetryPolicy(attempts=1))
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(5)]
        await loop_until(lambda: wire.received)
        await session.close()
        ended = await asyncio.gather(*calls[1:], return_exceptions=True)
        calls[0].cancel()  # its response is still open
        await asyncio.gather(calls[0], return_exceptions=True)

    assert {type(error) for error in ended} == {RuntimeError}
    assert all("given as session= is closed" in str(error) for error in ended)


async def test_a_call_that_is_cancelled_and_closed_ends_with_cancelled_error(
    connect: Connect,
) -> None:
    async with Wire(default=stall()) as wire:
        transport = connect(wire)
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(120)]
        await loop_until(lambda: len(wire.received) == 100)
        for call in calls:
            call.cancel()
        await transport.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(error) for error in ended} == {asyncio.CancelledError}
