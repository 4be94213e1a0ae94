"""Calls over a real socket: attempts, deadline, body limit, limiter and logs."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any
from unittest.mock import AsyncMock

import aiohttp
import attrs
import msgspec
import pytest
from aiolimiter import AsyncLimiter
from yarl import URL

from evtransport import (
    ApiError,
    ApiKey,
    AuthError,
    ClientCredentials,
    ConnectionFailed,
    DeadlineExceeded,
    RateLimitedError,
    ResponseTooLarge,
    RetryPolicy,
    RetryQuota,
    Secret,
    ServerError,
    StatusError,
    Timeout,
    Transport,
)
from evtransport.http import Request
from evtransport.structure import decode
from tests.support.odd import PIECES
from tests.support.waiting import loop_until
from tests.support.wire import Script, Wire, hang_up, raw, reply, stall

SECRET = "s3cr3t/k3y"


class Greeting(msgspec.Struct):
    hello: str


GREETING = msgspec.json.Decoder(Greeting)
REQUEST = Request(("greeting",), lambda body: decode(body, GREETING).hello)
HELLO = reply(b'{"hello": "world"}')
ONCE = RetryPolicy(attempts=1)

Connect = Callable[..., Transport]

RETRYABLE: dict[str, Script] = {
    "closed before the head": hang_up(),
    "no status line": raw(b"GARBAGE\r\n\r\n", close=True),
    "body shorter than its length": reply(b'{"hello"', length=100, close=True),
    "truncated JSON": reply(b'{"hello": "wor'),
    "gzip with a wrong checksum": reply(
        gzip.compress(b'{"hello": "world"}')[:-8] + b"12345678",
        headers={"Content-Encoding": "gzip"},
    ),
    "503": reply(status=503),
}


def refusal(status: int) -> Script:
    return reply(b'{"error": "invalid_token"}', status=status)


def token(value: str) -> Script:
    return reply(f'{{"access_token": "{value}", "expires_in": 3600}}'.encode())


# Attempts. The promises R7 and R12 inject all faults.


async def test_a_call_sends_the_credential_and_returns_the_result(connect: Connect) -> None:
    async with Wire(HELLO) as wire:
        assert await connect(wire).send(REQUEST) == "world"

    (received,) = wire.received
    assert (received.method, received.target) == ("GET", "/greeting")
    assert received.headers["X-Api-Key"] == SECRET
    assert received.headers["User-Agent"].startswith("thor-depot-clients/")
    assert received.headers["Accept"] == "application/json"


@pytest.mark.parametrize("fault", RETRYABLE.values(), ids=RETRYABLE.keys())
@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_retryable_fault_is_retried_within_the_attempts(
    connect: Connect, fault: Script, attempts: int
) -> None:
    async with Wire(*[fault] * attempts, fault, HELLO) as wire:
        with pytest.raises(ApiError) as caught:
            await connect(wire, retry=RetryPolicy(attempts=attempts)).send(REQUEST)
        assert len(wire.received) == caught.value.attempts == attempts
        assert await connect(wire).send(REQUEST) == "world"


@pytest.mark.parametrize("status", [204, 301, 400, 403, 404, 501])
async def test_another_status_is_not_retried(connect: Connect, status: int) -> None:
    body = b"" if status == 204 else b'{"message": "no"}'
    async with Wire(reply(body, status=status, headers={"Location": "/x"})) as wire:
        with pytest.raises(StatusError) as caught:
            await connect(wire).send(REQUEST)

    assert (caught.value.status, caught.value.body) == (status, body)


async def test_a_connection_that_closes_under_its_reader_has_failed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = AsyncMock(side_effect=RuntimeError("Connection closed."))
    monkeypatch.setattr(aiohttp.StreamReader, "readany", closed)
    async with Wire(HELLO) as wire:
        with pytest.raises(ConnectionFailed, match="Connection closed"):
            await connect(wire, retry=ONCE).send(REQUEST)


async def test_a_retry_waits_for_the_longer_of_two_retry_after_headers(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = AsyncMock()
    monkeypatch.setattr("evtransport.transport.sleep", sleep)
    twice = raw(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\nRetry-After: 7\r\nRetry-After: 2\r\n\r\n")
    async with Wire(twice, HELLO) as wire:
        transport = connect(wire, uniform=lambda low, high: high)
        assert await transport.send(REQUEST) == "world"

    sleep.assert_awaited_once_with(7.0)


async def test_a_call_that_succeeds_returns_the_tokens_of_its_retries(connect: Connect) -> None:
    quota = RetryQuota(tokens=RetryQuota.COST)
    async with Wire(reply(status=503), HELLO, HELLO) as wire:
        transport = connect(wire, quota=quota)
        for _ in range(2):
            assert await transport.send(REQUEST) == "world"
    assert quota.tokens == RetryQuota.COST + 1


# Time limits. The promise R10 stalls everywhere.


async def test_a_stalled_response_is_retried_after_the_read_timeout(connect: Connect) -> None:
    body = stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
    async with Wire(stall(), body, default=HELLO) as wire:
        options = {"timeout": Timeout(read=0.02), "retry": RetryPolicy(attempts=30)}
        assert await connect(wire, **options).send(REQUEST) == "world"

    assert len(wire.received) >= 3


async def test_the_deadline_covers_the_limiter(connect: Connect) -> None:
    async with Wire() as wire:
        transport = connect(wire, limiter=asyncio.Semaphore(0), timeout=Timeout(total=0.02))
        with pytest.raises(
            DeadlineExceeded, match=r"^GET greeting: no response within 0\.02 s \(0 attempts, "
        ) as caught:
            await transport.send(REQUEST)

    assert caught.value.attempts == 0
    assert caught.value.__context__ is None


async def test_a_wait_that_is_too_long_does_not_start(connect: Connect) -> None:
    async with Wire(reply(status=429, headers={"Retry-After": "61"})) as wire:
        with pytest.raises(RateLimitedError) as caught:
            await connect(wire).send(REQUEST)

    assert caught.value.retry_after == 61.0
    assert caught.value.__notes__ == ["not retried: a wait of 61 s would pass the deadline"]


# Bodies.


async def test_a_body_over_the_limit_is_not_retried_and_its_connection_closed(
    connect: Connect,
) -> None:
    chunks = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\n{}\r\n" * 50_000
    async with Wire(raw(chunks), reply(length=50_001)) as wire:
        transport = connect(wire, max_response_bytes=50_000)
        for _ in range(2):
            with pytest.raises(ResponseTooLarge, match="max_response_bytes=50000") as caught:
                await transport.send(REQUEST)
            assert caught.value.attempts == 1
            await loop_until(lambda: not wire.open_connections)


@pytest.mark.parametrize("size", [18, 2**20 + 1])
async def test_a_body_of_exactly_the_limit_is_accepted(connect: Connect, size: int) -> None:
    async with Wire(reply(b'{"hello": "world"}'.ljust(size))) as wire:
        assert await connect(wire, max_response_bytes=size).send(REQUEST) == "world"


async def test_an_error_keeps_64_kib_of_its_body_without_a_part_of_a_secret(
    connect: Connect,
) -> None:
    body = b"x" * (65_536 - 4) + SECRET.encode() + b"x" * 100_000
    async with Wire(reply(body, status=400)) as wire:
        with pytest.raises(StatusError) as caught:
            await connect(wire).send(REQUEST)

    assert caught.value.body == b"x" * (65_536 - 4) + b"****"


# Access tokens.


@pytest.mark.parametrize(
    ("attempts", "statuses", "renewed"),
    [
        *((attempts, (status, 200), True) for attempts in (1, 2) for status in (401, 403)),
        *((3, (first, second), True) for first in (401, 403) for second in (401, 403)),
        (2, (503, 401), False),
        (4, (401, 503, 401), True),
    ],
)
async def test_a_call_renews_a_rejected_token_once_and_the_next_request_is_an_attempt(
    connect: Connect, attempts: int, statuses: tuple[int, ...], renewed: bool
) -> None:
    scripts = [HELLO if status == 200 else refusal(status) for status in statuses]
    tokens = ["old", "new"] if renewed else ["old"]
    async with Wire(*scripts) as wire, Wire(*map(token, tokens)) as token_wire:
        auth = ClientCredentials("client", Secret("s3cr3t"), URL(token_wire.url))
        transport = connect(wire, auth=auth, retry=RetryPolicy(attempts=attempts))
        if statuses[-1] == 200:
            assert await transport.send(REQUEST) == "world"
        else:
            with pytest.raises(AuthError) as caught:
                await transport.send(REQUEST)
            assert (caught.value.status, caught.value.attempts) == (statuses[-1], len(statuses))

    used = [received.headers["Authorization"] for received in wire.received]
    assert used == ["Bearer old", *[f"Bearer {tokens[-1]}"] * (len(statuses) - 1)]


async def test_a_token_is_requested_with_a_form_and_retries(connect: Connect) -> None:
    scripts = (reply(status=500), token("old"), reply(status=503))
    async with Wire(refusal(403), refusal(403)) as wire, Wire(*scripts) as token_wire:
        auth = ClientCredentials("client", Secret("s3cr3t"), URL(token_wire.url))
        with pytest.raises(AuthError, match="403 invalid_token"):
            await connect(wire, auth=auth).send(REQUEST)

    request = token_wire.received[0]
    assert (request.method, request.body) == ("POST", b"grant_type=client_credentials")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


# Limiters, logs and options.


async def test_a_limiter_is_entered_for_each_request_and_held_until_the_response(
    connect: Connect,
) -> None:
    in_flight = peak = 0

    async def serve(*args: Any) -> None:
        nonlocal in_flight, peak
        in_flight += 1
        peak = max(peak, in_flight)
        await asyncio.sleep(0.001)
        in_flight -= 1
        await HELLO(*args)

    rate = AsyncLimiter(100, 60)
    async with Wire(reply(status=503), default=serve) as wire:
        assert await connect(wire, limiter=rate).send(REQUEST) == "world"
        transport = connect(wire, limiter=asyncio.Semaphore(3))
        await asyncio.gather(*(transport.send(REQUEST) for _ in range(20)))

    assert peak == 3
    assert (rate.has_capacity(99), rate.has_capacity(98)) == (False, True)


async def test_a_timeout_of_the_limiter_is_raised_unchanged(connect: Connect) -> None:
    class Impatient:
        async def __aenter__(self) -> None:
            raise TimeoutError("no permit")

        async def __aexit__(self, *_: object) -> None: ...

    async with Wire() as wire:
        with pytest.raises(TimeoutError, match="no permit"):
            await connect(wire, limiter=Impatient()).send(REQUEST)


async def test_an_error_names_its_call_without_secrets(connect: Connect) -> None:
    request = attrs.evolve(REQUEST, query=(("key", SECRET),))
    async with Wire(hang_up(), refusal(403)) as wire:
        with pytest.raises(AuthError) as caught:
            await connect(wire, hint="check api_key (KEY)").send(request)

    error = caught.value
    assert (error.method, error.path, error.attempts) == ("GET", "greeting", 2)
    assert error.context == {"key": "**********"}
    text = (
        f"GET greeting: 403 invalid_token; check api_key (KEY) (2 attempts, {error.elapsed:.1f} s)"
    )
    assert str(error) == text


async def test_an_error_of_the_token_url_names_it_and_the_call(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with Wire() as wire, Wire(default=reply(status=503)) as token_wire:
        auth = ClientCredentials("client", Secret("s3cr3t"), URL(token_wire.url))
        with pytest.raises(
            ServerError, match=r"^GET greeting: the token URL: 503 Service "
        ) as caught:
            await connect(wire, auth=auth, retry=RetryPolicy(attempts=2)).send(REQUEST)

    assert (caught.value.method, caught.value.path) == ("GET", "greeting")
    assert "GET greeting: the token URL: 503, attempt 2 of 2 in " in caplog.text


class EnteredOnly:
    async def __aenter__(self) -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_response_bytes": 0}, "max_response_bytes must be an int >= 1, got 0"),
        ({"limiter": 5}, "limiter must be an async context manager, got 5"),
        ({"limiter": EnteredOnly()}, "limiter must be an async context manager"),
        ({"retry": 3}, "retry must be a RetryPolicy, not int"),
        ({"timeout": 3}, "timeout must be a Timeout, not int"),
    ],
)
def test_invalid_options_are_rejected_at_construction(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Transport(base_url=URL("https://x"), auth=ApiKey(Secret(SECRET)), **options)


ODD_HEADERS = (
    *("Location", "Retry-After", "Date", "WWW-Authenticate", "Content-Length", "Content-Type"),
    *("Content-Encoding", "Transfer-Encoding", "Connection", "Set-Cookie", "Link"),
)


@pytest.mark.parametrize("status", [200, 403])
async def test_any_header_value_ends_a_call_in_a_result_or_a_documented_error(
    connect: Connect, status: int
) -> None:
    random = Random(status)
    connector = aiohttp.TCPConnector(force_close=True)
    async with Wire() as wire, aiohttp.ClientSession(connector=connector) as session:
        transport = connect(wire, session=session, retry=ONCE)
        for name in ODD_HEADERS * 5:
            value = "".join(random.choices(PIECES, k=random.randint(1, 6)))
            sent = re.sub("[\x00\r\n]", "", value).encode("utf-8", "surrogatepass")
            head = f"HTTP/1.1 {status} X\r\nContent-Length: 18\r\n{name}: ".encode()
            wire.then([raw(head + sent + b'\r\n\r\n{"hello": "world"}', close=True)])
            with suppress(ApiError):
                assert await transport.send(REQUEST) == "world"
