"""Sessions and connections: ownership, reuse, `~/.netrc`, and closing during calls."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

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
from tests.support.wire import Received, Wire, hang_up, reply, stall

SECRET = "s3cr3t/k3y"
REQUEST = Request(("greeting",), bytes)
HELLO = reply(b"hello")

Connect = Callable[..., Transport]


async def until_received(wire: Wire, count: int) -> None:
    while len(wire.received) < count:
        await asyncio.sleep(0)


# Reuse.


async def test_a_second_response_in_the_pool_is_not_used_for_the_next_request(
    connect: Connect,
) -> None:
    proceed, sent = asyncio.Event(), asyncio.Event()

    async def send_two(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await HELLO(request, reader, writer)
        await proceed.wait()
        await reply(b"unexpected")(request, reader, writer)
        sent.set()

    async with Wire(send_two, HELLO) as wire:
        transport = connect(wire)
        assert await transport.send(REQUEST) == b"hello"
        proceed.set()
        await sent.wait()
        await asyncio.sleep(0.02)  # until it has arrived
        assert await transport.send(REQUEST) == b"hello"
        assert wire.connections == 2


async def test_retired_connections_are_not_reused(connect: Connect) -> None:
    async with Wire(default=HELLO) as wire:
        transport = connect(wire)
        for connections in (1, 1, 2, 2, 3):
            if connections > wire.connections:
                transport.retire_connections()
            await transport.send(REQUEST)
            assert wire.connections == connections


async def test_a_misdirected_response_retires_the_connections(connect: Connect) -> None:
    def decode(body: bytes) -> str:
        raise MisdirectedResponse("of another request")

    async with Wire(HELLO, HELLO) as wire:
        transport = connect(wire)
        with pytest.raises(MisdirectedResponse):
            await transport.send(Request(("greeting",), decode))
        await transport.send(REQUEST)
        assert wire.connections == 2


async def test_a_pooled_connection_that_was_closed_costs_one_attempt(connect: Connect) -> None:
    async with Wire(HELLO, hang_up(), HELLO) as wire:
        transport = connect(wire, retry=RetryPolicy(attempts=2))
        await transport.send(REQUEST)
        assert await transport.send(REQUEST) == b"hello"

    assert len(wire.received) == 3


# Sessions of the caller.


async def test_a_borrowed_session_is_used_as_it_is_and_left_open(connect: Connect) -> None:
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


async def test_a_session_that_adds_credentials_is_refused(connect: Connect) -> None:
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
    ("auth", "sent"),
    [
        (ApiKey(Secret(SECRET)), {"X-Api-Key": SECRET}),
        (BearerToken(Secret(SECRET)), {"Authorization": f"Bearer {SECRET}"}),
    ],
    ids=["key", "token"],
)
async def test_no_credential_in_netrc_is_sent_with_a_request(
    connect: Connect, auth: Auth, sent: dict[str, str], trust_env: bool
) -> None:
    async with Wire(HELLO) as wire, aiohttp.ClientSession(trust_env=trust_env) as session:
        assert await connect(wire, auth=auth, session=session).send(REQUEST) == b"hello"

    headers = wire.received[0].headers
    assert {n: v for n, v in headers.items() if n in {"X-Api-Key", "Authorization"}} == sent


@pytest.mark.usefixtures("netrc")
async def test_no_credential_in_netrc_is_sent_with_a_token_request(connect: Connect) -> None:
    async with (
        Wire(HELLO) as wire,
        Wire(reply(b'{"access_token": "t0k3n"}')) as tokens,
        aiohttp.ClientSession(trust_env=True) as session,
    ):
        auth = ClientCredentials("client", Secret("s3cr3t"), URL(tokens.url))
        assert await connect(wire, auth=auth, session=session).send(REQUEST) == b"hello"

    assert tokens.received[0].headers["Authorization"] == "Basic Y2xpZW50OnMzY3IzdA=="
    assert wire.received[0].headers["Authorization"] == "Bearer t0k3n"


async def test_an_error_of_a_session_hook_is_raised_without_the_credentials(
    connect: Connect,
) -> None:
    async def fail(*_: object) -> None:
        raise LookupError("of the hook")

    hooks = aiohttp.TraceConfig()
    hooks.on_request_end.append(fail)
    async with Wire(HELLO) as wire, aiohttp.ClientSession(trace_configs=[hooks]) as session:
        with pytest.raises(LookupError, match="of the hook") as caught:
            await connect(wire, session=session).send(REQUEST)

    assert SECRET not in dump_error(caught.value)


# Event loops.


async def test_another_loop_cannot_close_a_client_in_use(connect: Connect) -> None:
    async with Wire(HELLO, HELLO) as wire:
        transport = connect(wire)
        await transport.send(REQUEST)
        with pytest.raises(RuntimeError, match="belongs to the event loop"):
            await asyncio.to_thread(asyncio.run, transport.aclose())
        assert await transport.send(REQUEST) == b"hello"


def test_a_client_refuses_a_second_event_loop() -> None:
    async def call() -> Transport:
        async with Wire(HELLO) as wire:
            transport = Transport(base_url=URL(wire.url), auth=ApiKey(Secret(SECRET)))
            await transport.send(REQUEST)
            await transport._sessions.get_session().close()
            return transport

    transport = asyncio.run(call())
    with pytest.raises(RuntimeError, match="one client for each loop"):
        asyncio.run(transport.send(REQUEST))
    asyncio.run(transport.aclose())  # its loop is closed


# Closing.


async def test_a_closed_client_or_session_refuses_calls(connect: Connect) -> None:
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
    "head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], ids=["head", "body"]
)
async def test_closing_ends_all_calls_in_flight_without_retry(
    connect: Connect, head: bytes
) -> None:
    async with Wire(default=stall(head)) as wire:
        transport = connect(wire)
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(120)]
        await until_received(wire, 100)  # the others wait for a connection
        await asyncio.sleep(0.01)
        await transport.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {repr(error) for error in ended} == {"RuntimeError('the client was closed')"}
    assert all(error.__context__ is None for error in ended if isinstance(error, RuntimeError))


async def test_closing_ends_calls_that_wait_for_a_token(connect: Connect) -> None:
    async with Wire() as wire, Wire(stall()) as tokens:
        auth = ClientCredentials("client", Secret("s3cr3t"), URL(tokens.url))
        transport = connect(wire, auth=auth)
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(20)]
        await until_received(tokens, 1)
        await transport.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {repr(error) for error in ended} == {"RuntimeError('the client was closed')"}


async def test_a_task_group_gets_the_error_of_a_closed_client(connect: Connect) -> None:
    async with Wire(default=stall()) as wire:
        transport = connect(wire)
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                for _ in range(101):
                    group.create_task(transport.send(REQUEST))
                await until_received(wire, 100)
                await transport.aclose()

    assert caught.group_contains(RuntimeError, match="the client was closed")


async def test_closing_a_borrowed_session_ends_the_waiting_calls(connect: Connect) -> None:
    async with Wire(default=stall()) as wire:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
        transport = connect(wire, session=session, retry=RetryPolicy(attempts=1))
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(5)]
        await until_received(wire, 1)
        await session.close()
        ended = await asyncio.gather(*calls[1:], return_exceptions=True)
        calls[0].cancel()  # its response is still open
        await asyncio.gather(calls[0], return_exceptions=True)

    assert {type(error) for error in ended} == {RuntimeError}
    assert all("given as session= is closed" in str(error) for error in ended)


@pytest.mark.parametrize("closes_too", [False, True])
async def test_a_cancelled_call_ends_with_cancelled_error(
    connect: Connect, closes_too: bool
) -> None:
    async with Wire(default=stall()) as wire:
        transport = connect(wire)
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(120)]
        await until_received(wire, 100)
        for call in calls:
            call.cancel()
        if closes_too:
            await transport.aclose()
        ended: list[Any] = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(error) for error in ended} == {asyncio.CancelledError}


async def test_cancelled_calls_leave_no_tasks(connect: Connect) -> None:
    async with Wire(default=HELLO) as wire:
        transport = connect(wire)
        before = asyncio.all_tasks()
        for turns in range(60):
            call = asyncio.create_task(transport.send(REQUEST))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert call.cancelled() or call.result() == b"hello"
        left = {task for task in asyncio.all_tasks() - before if "Wire" not in repr(task)}
        assert left == set()
        assert await transport.send(REQUEST) == b"hello"
