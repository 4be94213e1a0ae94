"""One call over a real socket: attempts, deadline, body cap, secrets, sessions and limiters."""

from __future__ import annotations

import asyncio
import gzip
import logging
import pickle
import random
import re
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import attrs
import msgspec
import pytest
import stamina
from aiolimiter import AsyncLimiter
from yarl import URL

from evtransport import (
    ApiError,
    ApiKey,
    AuthError,
    BearerToken,
    ClientCredentials,
    ConnectionFailed,
    DeadlineExceeded,
    DecodeError,
    MisdirectedResponse,
    NotFoundError,
    RateLimitedError,
    RedirectError,
    ResponseTooLarge,
    RetryPolicy,
    RetryQuota,
    SchemaError,
    Secret,
    ServerError,
    StatusError,
    Timeout,
    Transport,
)
from evtransport.auth import Auth
from evtransport.client import ApiClient
from evtransport.http import Request
from evtransport.structure import decode
from evtransport.transport import UNCHANGED, pause
from tests.support.error_dump import dump_error
from tests.support.odd import odd_values
from tests.support.wire import Received, Script, Wire, answer, hang_up, raw, reset, stall

SECRET = "s3cr3t/k3y"
JSON_SECRET = r"s3cr3t\/k3y"
URL_SECRET = "s3cr3t%2Fk3y"


class Greeting(msgspec.Struct):
    hello: str


GREETING = msgspec.json.Decoder(Greeting)
REQUEST = Request(("greeting",), lambda body: decode(body, GREETING).hello)
HELLO = answer(b'{"hello": "world"}')


def transport_to(wire: Wire, **options: Any) -> Transport:
    options.setdefault("auth", ApiKey(Secret(SECRET)))
    return Transport(base_url=URL(wire.url), **options)


@pytest.fixture
async def closing() -> AsyncIterator[Callable[[Transport], Transport]]:
    """Closes what it was given at the end of the test."""
    opened: list[Transport] = []

    def remember(transport: Transport) -> Transport:
        opened.append(transport)
        return transport

    yield remember
    for transport in opened:
        await transport.aclose()


Closing = Callable[[Transport], Transport]


async def test_a_call_sends_its_credentials_with_the_request_and_returns_the_result(
    closing: Closing,
) -> None:
    async with Wire(HELLO) as wire:
        assert await closing(transport_to(wire)).send(REQUEST) == "world"

    (received,) = wire.received
    assert (received.method, received.target) == ("GET", "/greeting")
    assert received.headers["X-Api-Key"] == SECRET
    assert received.headers["User-Agent"].startswith("thor-depot-clients/")


MENDABLE: dict[str, Script] = {
    "closed before the head": hang_up(),
    "reset": reset(),
    "garbage instead of a status line": raw(b"GARBAGE\r\n\r\n", close=True),
    "closed inside the head": raw(b"HTTP/1.1 200 OK\r\nConte", close=True),
    "body shorter than its length": answer(b'{"hello"', length=100, close=True),
    "chunked without an end": raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", close=True
    ),
    "truncated JSON": answer(b'{"hello": "wor'),
    "an empty body": answer(b""),
    "HTML": answer(b"<html>"),
    "bad UTF-8": answer(b'{"hello": "\xff"}'),
    "bad UTF-8 in what nobody asked for": answer(b'{"hello": "a", "x": "\xff"}'),
    "gzip with a wrong checksum": answer(
        gzip.compress(b'{"hello": "world"}')[:-8] + b"12345678",
        headers={"Content-Encoding": "gzip"},
    ),
    **{str(status): answer(status=status) for status in (408, 429, 500, 502, 503, 504)},
}


@pytest.mark.parametrize("fault", MENDABLE.values(), ids=MENDABLE.keys())
async def test_what_a_retry_can_mend_is_sent_again(closing: Closing, fault: Script) -> None:
    async with Wire(fault, fault, HELLO) as wire:
        assert await closing(transport_to(wire)).send(REQUEST) == "world"

    assert len(wire.received) == 3


@pytest.mark.parametrize("fault", MENDABLE.values(), ids=MENDABLE.keys())
@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_the_requests_on_the_wire_are_exactly_the_attempts(
    closing: Closing, fault: Script, attempts: int
) -> None:
    async with Wire(*[fault] * attempts) as wire:
        with pytest.raises(ApiError) as caught:
            await closing(transport_to(wire, retry=RetryPolicy(attempts=attempts))).send(REQUEST)

    assert len(wire.received) == attempts
    assert caught.value.attempts == attempts


async def test_a_keep_alive_connection_that_was_closed_meanwhile_costs_one_attempt(
    closing: Closing,
) -> None:
    async with Wire(HELLO, hang_up(), HELLO) as wire:
        transport = closing(transport_to(wire, retry=RetryPolicy(attempts=2)))
        await transport.send(REQUEST)
        assert await transport.send(REQUEST) == "world"

    assert len(wire.received) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, StatusError),
        (401, AuthError),
        (403, AuthError),
        (404, NotFoundError),
        (204, StatusError),
        (501, ServerError),
        *[(status, RedirectError) for status in (301, 302, 303, 307, 308)],
    ],
)
async def test_what_no_retry_can_mend_is_sent_once(
    closing: Closing, status: int, error: type[StatusError]
) -> None:
    body = b"" if status == 204 else b'{"message": "no"}'
    async with Wire(answer(body, status=status, headers={"Location": "/x"})) as wire:
        with pytest.raises(error) as caught:
            await closing(transport_to(wire)).send(REQUEST)

    assert caught.value.status == status
    assert caught.value.body == body
    assert len(wire.received) == 1


async def test_json_of_another_shape_is_not_asked_for_again(closing: Closing) -> None:
    async with Wire(answer(b'{"hello": 1}')) as wire:
        with pytest.raises(SchemaError, match="expected str, got int"):
            await closing(transport_to(wire)).send(REQUEST)


async def test_a_redirect_sends_nothing_to_the_other_origin(closing: Closing) -> None:
    async with Wire() as other:
        origin = other.url
        location = f"{origin}/steal?{SECRET}"
        async with Wire(answer(status=307, headers={"Location": location})) as wire:
            with pytest.raises(RedirectError) as caught:
                await closing(transport_to(wire)).send(REQUEST)

    assert other.received == []
    assert origin in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_server_that_is_not_there_is_a_failed_connection(closing: Closing) -> None:
    async with Wire() as wire:
        url = wire.url
    transport = closing(Transport(base_url=URL(url), auth=ApiKey(Secret(SECRET))))

    with pytest.raises(ConnectionFailed, match="Cannot connect") as caught:
        await transport.send(REQUEST)

    assert caught.value.attempts == 3


async def test_a_stalled_answer_ends_at_the_read_timeout_and_is_tried_again(
    closing: Closing,
) -> None:
    async with Wire(
        stall(), stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), HELLO
    ) as wire:
        transport = closing(transport_to(wire, timeout=Timeout(read=0.02)))
        assert await transport.send(REQUEST) == "world"


async def test_the_deadline_covers_attempts_that_each_still_make_progress(
    closing: Closing,
) -> None:
    async def drip(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _unused in range(1000):
            writer.write(b" ")
            await asyncio.sleep(0.005)

    async with Wire(drip) as wire:
        transport = closing(transport_to(wire, timeout=Timeout(total=0.05)))
        with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s \(attempts: 1\)") as caught:
            await transport.send(REQUEST)

    assert caught.value.attempts == 1
    assert caught.value.__context__ is None


async def test_the_deadline_covers_the_wait_for_the_limiter(closing: Closing) -> None:
    limiter = asyncio.Semaphore(0)
    async with Wire() as wire:
        transport = closing(transport_to(wire, limiter=limiter, timeout=Timeout(total=0.02)))
        with pytest.raises(DeadlineExceeded) as caught:
            await transport.send(REQUEST)

    assert caught.value.attempts == 0


async def test_no_wait_begins_that_would_cross_the_deadline(closing: Closing) -> None:
    async with Wire(answer(status=503, headers={"Retry-After": "61"})) as wire:
        with pytest.raises(ServerError) as caught:
            await closing(transport_to(wire)).send(REQUEST)

    assert caught.value.retry_after == 61
    assert caught.value.__notes__ == ["not retried: a wait of 61 s would cross the call's deadline"]


async def test_a_timeout_of_the_limiter_itself_comes_out_as_it_is(closing: Closing) -> None:
    class Impatient:
        async def __aenter__(self) -> None:
            raise TimeoutError("no permit")

        async def __aexit__(self, *_: object) -> None: ...

    async with Wire() as wire:
        with pytest.raises(TimeoutError, match="no permit"):
            await closing(transport_to(wire, limiter=Impatient())).send(REQUEST)


async def test_retries_can_be_switched_off_where_stamina_is(closing: Closing) -> None:
    stamina.set_active(False)
    try:
        async with Wire(answer(status=503)) as wire:
            with pytest.raises(ServerError):
                await closing(transport_to(wire)).send(REQUEST)
    finally:
        stamina.set_active(True)


async def test_a_retry_waits_as_long_as_the_server_asks(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    slept = asyncio.sleep

    async def no_sleep(seconds: float, *args: Any) -> None:
        if seconds:
            waits.append(seconds)
        await slept(0)

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    try:
        with stamina.set_testing(False):
            async with Wire(answer(status=429, headers={"Retry-After": "7"}), HELLO) as wire:
                transport = closing(transport_to(wire, uniform=lambda low, high: high))
                assert await transport.send(REQUEST) == "world"
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)

    assert waits == [7.0, 7.0]


async def test_an_answer_that_came_unasked_is_not_given_to_the_next_call(closing: Closing) -> None:
    sent = asyncio.Event()

    async def two(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await HELLO(request, reader, writer)
        await sent.wait()
        await answer(b'{"hello": "nobody"}')(request, reader, writer)

    async with Wire(two, HELLO) as wire:
        transport = closing(transport_to(wire))
        assert await transport.send(REQUEST) == "world"
        sent.set()
        await asyncio.sleep(0.02)  # until it has arrived
        assert await transport.send(REQUEST) == "world"
        assert wire.connections == 2


async def test_retired_connections_are_not_used_again(closing: Closing) -> None:
    async with Wire(HELLO, HELLO, HELLO, HELLO) as wire:
        transport = closing(transport_to(wire))
        transport.retire_connections()
        for connections in (1, 1):
            await transport.send(REQUEST)
            assert wire.connections == connections
        transport.retire_connections()
        for connections in (2, 2):
            await transport.send(REQUEST)
            assert wire.connections == connections


async def test_connections_are_retired_when_one_has_brought_another_requests_answer(
    closing: Closing,
) -> None:
    def misdirected(body: bytes) -> str:
        raise MisdirectedResponse("another's")

    async with Wire(HELLO, HELLO) as wire:
        transport = closing(transport_to(wire))
        with pytest.raises(MisdirectedResponse):
            await transport.send(Request(("greeting",), misdirected))
        assert await transport.send(REQUEST) == "world"
        assert wire.connections == 2


async def test_the_connections_of_a_borrowed_session_are_its_owners(closing: Closing) -> None:
    async with Wire(HELLO, HELLO) as wire, aiohttp.ClientSession() as session:
        transport = closing(transport_to(wire, session=session))
        await transport.send(REQUEST)
        transport.retire_connections()
        await transport.send(REQUEST)
        assert wire.connections == 1


async def test_a_client_is_not_closed_from_another_loop_while_its_own_runs(
    closing: Closing,
) -> None:
    async with Wire(HELLO, HELLO) as wire:
        transport = closing(transport_to(wire))
        await transport.send(REQUEST)
        with pytest.raises(RuntimeError, match="belongs to the event loop"):
            await asyncio.to_thread(asyncio.run, transport.aclose())
        assert await transport.send(REQUEST) == "world"


async def test_a_connection_that_is_closed_under_its_reader_has_failed(
    closing: Closing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(_: aiohttp.StreamReader) -> bytes:
        raise RuntimeError("Connection closed.")

    monkeypatch.setattr(aiohttp.StreamReader, "readany", closed)
    async with Wire(HELLO) as wire:
        transport = closing(transport_to(wire, retry=RetryPolicy(attempts=1)))
        with pytest.raises(ConnectionFailed, match="Connection closed"):
            await transport.send(REQUEST)


async def test_a_full_outage_is_not_amplified(closing: Closing) -> None:
    async with Wire(default=answer(status=503)) as wire:
        transport = closing(transport_to(wire))
        calls = [transport.send(REQUEST) for _ in range(200)]
        results = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(result, ServerError) for result in results)
    assert len(wire.received) == 200 + RetryQuota.CAPACITY // RetryQuota.COST


async def test_calls_that_succeed_fill_the_quota_up_again(closing: Closing) -> None:
    quota = RetryQuota(left=RetryQuota.COST)
    async with Wire(answer(status=503), HELLO, HELLO, answer(status=503), HELLO) as wire:
        transport = closing(transport_to(wire, quota=quota))
        for _ in range(3):
            assert await transport.send(REQUEST) == "world"

    assert quota.left == RetryQuota.COST + 1


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_over_the_cap_is_refused_once_and_its_connection_closed(
    closing: Closing, compressed: bool
) -> None:
    body = b'{"hello": "' + random.Random(0).randbytes(5_000_000).hex().encode() + b'"}'
    sent = gzip.compress(body) if compressed else body
    headers = {"Content-Encoding": "gzip"} if compressed else None
    async with Wire(answer(sent, headers=headers)) as wire:
        transport = closing(transport_to(wire, max_response_bytes=50_000))
        with pytest.raises(ResponseTooLarge, match="max_response_bytes=50000") as caught:
            await transport.send(REQUEST)
        while wire.open_connections:
            await asyncio.sleep(0.001)

    assert caught.value.attempts == 1
    assert len(wire.received) == 1


async def test_a_body_of_exactly_the_cap_is_taken(closing: Closing) -> None:
    async with Wire(HELLO) as wire:
        transport = closing(transport_to(wire, max_response_bytes=len(b'{"hello": "world"}')))
        assert await transport.send(REQUEST) == "world"


async def test_of_an_error_body_64_KiB_are_kept(closing: Closing) -> None:  # noqa: N802
    async with Wire(answer(b"x" * 1_000_000, status=400)) as wire:
        with pytest.raises(StatusError) as caught:
            await closing(transport_to(wire)).send(REQUEST)

    assert caught.value.body == b"x" * 65536


def everything_shown_by(error: BaseException) -> str:
    return dump_error(error) + repr(pickle.dumps(error))


LEAKING: dict[str, Script] = {
    **MENDABLE,
    "echoed in an error": answer(f'{{"message": "bad key {SECRET}"}}'.encode(), status=403),
    "echoed as JSON": answer(
        rf'{{"message": "{JSON_SECRET}", "code": "{JSON_SECRET}"}}'.encode(), status=400
    ),
    "echoed percent-encoded": answer(f'{{"message": "{URL_SECRET}"}}'.encode(), status=400),
    "echoed in a redirect": answer(status=302, headers={"Location": f"http://a.example/{SECRET}"}),
    "echoed in a status line": raw(f"HTTP/1.1 {SECRET} X\r\n\r\n".encode(), close=True),
    "wrong shape": answer(f'{{"hello": ["{SECRET}"]}}'.encode()),
    "echoed at the cut of the body": answer(b"x" * (65536 - 4) + SECRET.encode(), status=400),
}


@pytest.mark.parametrize("fault", LEAKING.values(), ids=LEAKING.keys())
async def test_no_error_shows_the_credentials(
    closing: Closing, fault: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Wire(default=fault) as wire:
        with pytest.raises(ApiError) as caught:
            await closing(transport_to(wire)).send(REQUEST)

    shown = everything_shown_by(caught.value)
    for spelling in (SECRET, JSON_SECRET, URL_SECRET):
        assert spelling not in shown
    assert SECRET[:4] not in caught.value.__dict__.get("body", b"").decode()
    assert SECRET not in repr(vars(caplog)) + caplog.text
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_cancelled_call_shows_no_credentials_and_leaves_nothing_open(
    closing: Closing,
) -> None:
    async with Wire(stall(), HELLO) as wire:
        transport = closing(transport_to(wire))
        call = asyncio.create_task(transport.send(REQUEST))
        while not wire.received:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
        while wire.open_connections:
            await asyncio.sleep(0.001)

        assert SECRET not in everything_shown_by(caught.value)
        assert await transport.send(REQUEST) == "world"


async def test_every_exchange_is_logged_with_stable_keys_and_no_secret(
    closing: Closing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="evtransport")
    async with Wire(hang_up(), HELLO) as wire:
        await closing(transport_to(wire)).send(REQUEST)

    records = [attrs.asdict(_Logged.of(r)) for r in caplog.records if r.name == "evtransport"]
    assert records == [
        {"method": "GET", "path": "/greeting", "status": None, "attempt": 1},
        {"method": "GET", "path": "/greeting", "status": 200, "attempt": 2},
    ]
    assert all(r.__dict__["elapsed"] >= 0 for r in caplog.records if r.name == "evtransport")


@attrs.frozen
class _Logged:
    method: str
    path: str
    status: int | None
    attempt: int

    @classmethod
    def of(cls, record: logging.LogRecord) -> _Logged:
        return cls(*(record.__dict__[name] for name in ("method", "path", "status", "attempt")))


async def test_nothing_is_logged_at_higher_levels_than_debug(
    closing: Closing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="evtransport")
    async with Wire(HELLO) as wire:
        await closing(transport_to(wire)).send(REQUEST)

    assert not [record for record in caplog.records if record.name == "evtransport"]


def token(value: str = "t0k3n", life: float = 3600) -> Script:
    return answer(f'{{"access_token": "{value}", "expires_in": {life}}}'.encode())


def with_client_credentials(wire: Wire, tokens: Wire, **options: Any) -> Transport:
    auth = ClientCredentials("client", Secret("s3cr3t"), URL(tokens.url))
    return transport_to(wire, auth=auth, **options)


async def test_a_token_is_fetched_with_basic_credentials_and_used(closing: Closing) -> None:
    async with Wire(HELLO) as wire, Wire(token()) as tokens:
        assert await closing(with_client_credentials(wire, tokens)).send(REQUEST) == "world"

    assert wire.received[0].headers["Authorization"] == "Bearer t0k3n"
    (asked,) = tokens.received
    assert asked.method == "POST"
    assert asked.headers["Authorization"] == "Basic Y2xpZW50OnMzY3IzdA=="
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.body == b"grant_type=client_credentials"


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_a_refused_token_is_renewed_and_the_request_sent_once_more(
    closing: Closing, attempts: int
) -> None:
    async with (
        Wire(answer(status=401), HELLO) as wire,
        Wire(token("old"), token("new")) as tokens,
    ):
        transport = closing(
            with_client_credentials(wire, tokens, retry=RetryPolicy(attempts=attempts))
        )
        assert await transport.send(REQUEST) == "world"

    used = [received.headers["Authorization"] for received in wire.received]
    assert used == ["Bearer old", "Bearer new"]


async def test_a_token_that_is_refused_twice_is_an_error(closing: Closing) -> None:
    async with (
        Wire(answer(status=401), answer(status=401)) as wire,
        Wire(token("old"), token("new")) as tokens,
    ):
        with pytest.raises(AuthError) as caught:
            await closing(with_client_credentials(wire, tokens)).send(REQUEST)

    assert caught.value.attempts == 2


async def test_the_renewal_takes_an_attempt_of_a_call_that_has_retried_before(
    closing: Closing,
) -> None:
    async with (
        Wire(answer(status=503), answer(status=401)) as wire,
        Wire(token("old")) as tokens,
    ):
        transport = closing(with_client_credentials(wire, tokens, retry=RetryPolicy(attempts=2)))
        with pytest.raises(AuthError):
            await transport.send(REQUEST)


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_token_that_a_403_calls_invalid_is_renewed_once(
    closing: Closing, attempts: int
) -> None:
    invalid = answer(status=403, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    async with (
        Wire(invalid, HELLO, invalid, answer(status=403)) as wire,
        Wire(token("old"), token("new")) as tokens,
    ):
        transport = closing(
            with_client_credentials(wire, tokens, retry=RetryPolicy(attempts=attempts))
        )
        assert await transport.send(REQUEST) == "world"
        for _ in range(2):  # within a minute of the renewal, and of a young token
            with pytest.raises(AuthError):
                await transport.send(REQUEST)

    used = [received.headers["Authorization"] for received in wire.received]
    assert used == ["Bearer old", "Bearer new", "Bearer new", "Bearer new"]


@pytest.mark.parametrize("statuses", [(401, 403), (403, 401), (403, 403)])
async def test_a_call_gets_at_most_one_new_token(
    closing: Closing, statuses: tuple[int, int]
) -> None:
    refusals = [answer(b'{"error": "invalid_token"}', status=status) for status in statuses]
    async with Wire(*refusals) as wire, Wire(token("old"), token("new")) as tokens:
        with pytest.raises(AuthError) as caught:
            await closing(with_client_credentials(wire, tokens)).send(REQUEST)

    assert caught.value.status == statuses[1]


async def test_a_403_after_a_failed_renewal_is_the_calls_error(closing: Closing) -> None:
    invalid = answer(b'{"error": "invalid_token"}', status=403)
    async with (
        Wire(invalid, invalid) as wire,
        Wire(token("old"), answer(status=503)) as tokens,
    ):
        with pytest.raises(AuthError, match="the server answered 403") as caught:
            await closing(with_client_credentials(wire, tokens)).send(REQUEST)

    assert caught.value.attempts == 2


async def test_a_token_of_the_callers_own_is_not_renewed(closing: Closing) -> None:
    async with Wire(answer(status=401)) as wire:
        with pytest.raises(AuthError):
            await closing(transport_to(wire, auth=BearerToken(Secret("mine")))).send(REQUEST)

    assert wire.received[0].headers["Authorization"] == "Bearer mine"


async def test_a_refused_token_request_says_so_and_sends_nothing_on(closing: Closing) -> None:
    async with Wire() as wire, Wire(answer(status=403)) as tokens:
        with pytest.raises(AuthError, match="the token URL answered 403"):
            await closing(with_client_credentials(wire, tokens)).send(REQUEST)


async def test_a_token_url_that_fails_is_tried_again_within_the_attempts(
    closing: Closing,
) -> None:
    async with Wire(HELLO) as wire, Wire(answer(status=500), hang_up(), token()) as tokens:
        assert await closing(with_client_credentials(wire, tokens)).send(REQUEST) == "world"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"access_token": 5, "x": "t0k3n"}', SchemaError),
        (b'{"t0k3n": 1}', SchemaError),
        (b'{"access_token": "t0k3n"', DecodeError),
        (b'{"access_token": "t0k3n\\n"}', SchemaError),
        (b'{"access_token": ""}', SchemaError),
    ],
)
async def test_a_token_answer_that_is_not_one_is_an_error_that_shows_nothing_of_it(
    closing: Closing, body: bytes, error: type[ApiError]
) -> None:
    async with Wire() as wire, Wire(default=answer(body)) as tokens:
        with pytest.raises(error) as caught:
            await closing(with_client_credentials(wire, tokens)).send(REQUEST)

    assert "t0k3n" not in everything_shown_by(caught.value)


async def test_a_thousand_first_calls_make_one_token_request(closing: Closing) -> None:
    async with Wire(default=HELLO) as wire, Wire(token()) as tokens:
        transport = closing(with_client_credentials(wire, tokens))
        await asyncio.gather(*(transport.send(REQUEST) for _ in range(1000)))

    assert len(tokens.received) == 1


async def test_fifty_refusals_at_once_make_one_renewal(closing: Closing) -> None:
    async def only_the_new_token(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        refused = request.headers["Authorization"] == "Bearer old"
        await (answer(status=401) if refused else HELLO)(request, reader, writer)

    async with (
        Wire(default=only_the_new_token) as wire,
        Wire(token("old"), token("new")) as tokens,
    ):
        transport = closing(with_client_credentials(wire, tokens))
        assert await asyncio.gather(*(transport.send(REQUEST) for _ in range(50)))


async def test_a_limiter_caps_the_requests_under_way(closing: Closing) -> None:
    under_way = peak = 0

    async def slow(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        await HELLO(request, reader, writer)

    async with Wire(default=slow) as wire:
        transport = closing(transport_to(wire, limiter=asyncio.Semaphore(3)))
        await asyncio.gather(*(transport.send(REQUEST) for _ in range(20)))

    assert peak == 3


async def test_a_rate_limiter_is_entered_for_every_request_on_the_wire(closing: Closing) -> None:
    limiter = AsyncLimiter(100, 60)
    async with Wire(answer(status=503), HELLO, HELLO) as wire:
        transport = closing(transport_to(wire, limiter=limiter))
        await transport.send(REQUEST)
        await transport.send(REQUEST)

    assert not limiter.has_capacity(98)
    assert limiter.has_capacity(97)


async def test_a_borrowed_session_is_used_and_left_open() -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}, raise_for_status=True) as session:
        async with Wire(HELLO, answer(status=404)) as wire:
            transport = transport_to(wire, session=session)
            assert await transport.send(REQUEST) == "world"
            with pytest.raises(NotFoundError):
                await transport.send(REQUEST)
            await transport.aclose()

        assert not session.closed
    assert wire.received[0].headers["X-Mine"] == "1"


async def test_a_borrowed_session_with_credentials_of_its_own_is_refused() -> None:
    async with Wire() as wire:
        with warnings.catch_warnings(action="ignore"):  # aiohttp deprecates what is refused here
            session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("me", "pw"))
        with pytest.raises(ValueError, match="session must not have auth="):
            transport_to(wire, session=session)
        await session.close()


async def test_a_session_that_fails_if_netrc_has_credentials_is_refused() -> None:
    headers = {"authorization": "Bearer mine"}
    async with Wire() as wire, aiohttp.ClientSession(headers=headers, trust_env=True) as session:
        with pytest.raises(ValueError, match="both trust_env=True and an Authorization header"):
            transport_to(wire, session=session)


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
    auth: Auth, sent: dict[str, str], trust_env: bool
) -> None:
    async with Wire(HELLO) as wire, aiohttp.ClientSession(trust_env=trust_env) as session:
        assert await transport_to(wire, auth=auth, session=session).send(REQUEST) == "world"

    headers = wire.received[0].headers
    assert {n: v for n, v in headers.items() if n in {"X-Api-Key", "Authorization"}} == sent


@pytest.mark.usefixtures("netrc")
async def test_no_credential_in_netrc_is_sent_with_a_token_request() -> None:
    async with (
        Wire(HELLO) as wire,
        Wire(token()) as tokens,
        aiohttp.ClientSession(trust_env=True) as session,
    ):
        transport = with_client_credentials(wire, tokens, session=session)
        assert await transport.send(REQUEST) == "world"

    assert tokens.received[0].headers["Authorization"] == "Basic Y2xpZW50OnMzY3IzdA=="
    assert wire.received[0].headers["Authorization"] == "Bearer t0k3n"


async def test_a_closed_borrowed_session_is_named_as_the_cause() -> None:
    async with Wire() as wire:
        session = aiohttp.ClientSession()
        await session.close()
        with pytest.raises(RuntimeError, match="given as session= is closed"):
            await transport_to(wire, session=session).send(REQUEST)


async def test_a_closed_client_refuses_calls_and_closing_again_does_nothing() -> None:
    async with Wire(HELLO) as wire:
        transport = transport_to(wire)
        await transport.send(REQUEST)
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(RuntimeError, match="the client was closed"):
            await transport.send(REQUEST)


def test_a_client_refuses_a_second_event_loop() -> None:
    async def call(transport: Transport | None) -> Transport:
        async with Wire(HELLO) as wire:
            transport = transport or transport_to(wire)
            await transport.send(REQUEST)
            await transport._holder.session().close()
            return transport

    transport = asyncio.run(call(None))
    with pytest.raises(RuntimeError, match="one client for each loop"):
        asyncio.run(transport.send(REQUEST))


class GreetingClient(ApiClient):
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def greet(self) -> str:
        return await self._transport.send(REQUEST)


async def test_with_options_shares_session_credentials_and_quota_but_not_ownership() -> None:
    quota = RetryQuota()
    async with Wire(default=HELLO) as wire:
        async with GreetingClient(transport_to(wire, quota=quota)) as client:
            other = client.with_options(
                retry=RetryPolicy(attempts=1), timeout=Timeout(total=1), limiter=asyncio.Lock()
            )
            async with other:
                assert await other.greet() == "world"
            assert await client.greet() == "world"
            assert other._transport._quota is quota
            assert other._transport.auth is client._transport.auth
            assert other._transport.retry.attempts == 1
            assert other._transport.timeout.total == 1

            same = other.with_options()
            assert same._transport.limiter is other._transport.limiter
            assert other.with_options(limiter=None)._transport.limiter is None
            assert UNCHANGED.value == "unchanged"
        with pytest.raises(RuntimeError, match="closed"):
            await other.greet()


async def test_the_clients_repr_names_the_address_and_no_secret() -> None:
    async with Wire() as wire:
        client = GreetingClient(transport_to(wire))
        assert repr(client) == f"<GreetingClient of {wire.url}>"
        assert SECRET not in repr(client._transport)


class EnteredOnly:
    async def __aenter__(self) -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_response_bytes": 0}, "max_response_bytes must be an int of at least 1"),
        ({"limiter": 5}, "limiter must be an async context manager"),
        ({"limiter": EnteredOnly()}, "limiter must be an async context manager"),
        ({"session": "no"}, "session must be an aiohttp.ClientSession"),
    ],
)
async def test_wrong_options_are_refused_at_construction(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Transport(base_url=URL("https://x"), auth=ApiKey(Secret(SECRET)), **options)


async def test_an_error_of_the_sessions_own_hooks_comes_out_without_the_credentials() -> None:
    async def fail(*_: object) -> None:
        raise LookupError("the hook's own")

    hooks = aiohttp.TraceConfig()
    hooks.on_request_end.append(fail)
    async with Wire(HELLO) as wire, aiohttp.ClientSession(trace_configs=[hooks]) as session:
        with pytest.raises(LookupError, match="the hook's own") as caught:
            await transport_to(wire, session=session).send(REQUEST)

    assert SECRET not in everything_shown_by(caught.value)


async def test_all_calls_say_that_the_client_was_closed_during_them_and_do_not_retry() -> None:
    async with Wire(default=stall()) as wire:
        transport = transport_to(wire)
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(150)]
        while len(wire.received) < 100:  # the others wait for a connection
            await asyncio.sleep(0)
        await transport.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {repr(error) for error in ended} == {"RuntimeError('the client was closed')"}
    assert all(error.__context__ is None for error in ended if isinstance(error, RuntimeError))


async def test_a_task_group_learns_that_its_client_was_closed() -> None:
    async with Wire(default=stall()) as wire:
        transport = transport_to(wire)
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                for _ in range(101):
                    group.create_task(transport.send(REQUEST))
                while len(wire.received) < 100:
                    await asyncio.sleep(0)
                await transport.aclose()

    assert caught.group_contains(RuntimeError, match="the client was closed")


async def test_calls_that_wait_for_the_token_say_that_the_client_was_closed() -> None:
    async with Wire() as wire, Wire(stall()) as tokens:
        transport = with_client_credentials(wire, tokens)
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(20)]
        while not tokens.received:
            await asyncio.sleep(0)
        await transport.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {repr(error) for error in ended} == {"RuntimeError('the client was closed')"}


async def test_calls_say_that_a_borrowed_session_was_closed_during_them() -> None:
    async with Wire(default=stall()) as wire:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
        transport = transport_to(wire, session=session, retry=RetryPolicy(attempts=1))
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(5)]
        while not wire.received:
            await asyncio.sleep(0)
        await session.close()
        ended = await asyncio.gather(*calls[1:], return_exceptions=True)
        calls[0].cancel()  # the session goes on reading its answer
        await asyncio.gather(calls[0], return_exceptions=True)

    assert {type(error) for error in ended} == {RuntimeError}
    assert all("given as session= is closed" in str(error) for error in ended)


@pytest.mark.parametrize("closes_too", [False, True])
async def test_a_cancelled_call_ends_with_cancelled_error(closes_too: bool) -> None:
    async with Wire(default=stall()) as wire:
        transport = transport_to(wire)
        calls = [asyncio.create_task(transport.send(REQUEST)) for _ in range(150)]
        while len(wire.received) < 100:
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        if closes_too:
            await transport.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        await transport.aclose()

    assert {type(error) for error in ended} == {asyncio.CancelledError}


async def test_a_token_in_an_answer_of_another_status_does_not_get_into_the_error(
    closing: Closing,
) -> None:
    async with Wire() as wire, Wire(answer(b'{"access_token": "fr3sh"}', status=201)) as tokens:
        with pytest.raises(StatusError, match="the token URL answered 201") as caught:
            await closing(with_client_credentials(wire, tokens)).send(REQUEST)

    assert "fr3sh" not in everything_shown_by(caught.value)


async def test_the_longer_wait_of_two_headers_counts(closing: Closing) -> None:
    twice = raw(
        b"HTTP/1.1 429 X\r\nContent-Length: 0\r\nRetry-After: 2814\r\nRetry-After: 2\r\n\r\n"
    )
    async with Wire(twice) as wire:
        with pytest.raises(RateLimitedError) as caught:
            await closing(transport_to(wire)).send(REQUEST)

    assert caught.value.retry_after == 2_814


ODD_HEADERS = (
    *("Location", "Retry-After", "Date", "WWW-Authenticate", "Content-Length", "Content-Type"),
    *("Content-Encoding", "Transfer-Encoding", "Connection", "Set-Cookie", "Link"),
)


@pytest.mark.parametrize("status", [200, 302, 403, 429])
async def test_no_value_of_any_header_ends_a_call_in_an_undocumented_error(
    closing: Closing, status: int
) -> None:
    connector = aiohttp.TCPConnector(force_close=True)
    async with Wire() as wire, aiohttp.ClientSession(connector=connector) as session:
        transport = closing(transport_to(wire, session=session, retry=RetryPolicy(attempts=1)))
        for name, value in zip(ODD_HEADERS * 15, odd_values(165, seed=status), strict=True):
            sent = re.sub("[\x00\r\n]", "", value).encode("utf-8", "surrogatepass")
            head = f"HTTP/1.1 {status} X\r\nContent-Length: 18\r\n{name}: ".encode()
            wire.then([raw(head + sent + b'\r\n\r\n{"hello": "world"}', close=True)])
            with suppress(ApiError):
                assert await transport.send(REQUEST) == "world"


async def test_rate_limiting_tells_how_long_to_wait(closing: Closing) -> None:
    headers = {"Retry-After": "121"}
    async with Wire(answer(status=429, headers=headers)) as wire:
        with pytest.raises(RateLimitedError) as caught:
            await closing(transport_to(wire)).send(REQUEST)

    assert caught.value.retry_after == 121
    assert caught.value.__notes__ == [
        "not retried: the server asks for 121 s, more than max_retry_after=120"
    ]


async def test_nothing_is_left_behind_by_many_cancelled_calls(closing: Closing) -> None:
    async with Wire(default=HELLO) as wire:
        transport = closing(transport_to(wire))
        before = asyncio.all_tasks()
        for turns in range(60):
            call = asyncio.create_task(transport.send(REQUEST))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert call.cancelled() or call.result() == "world"
        # The wire's own connection tasks come and go; none of the client's may stay.
        left = {task for task in asyncio.all_tasks() - before if "Wire" not in repr(task)}
        assert left == set()
        assert await transport.send(REQUEST) == "world"


async def test_a_pause_that_is_cancelled_when_it_is_due_says_nothing() -> None:
    loop, said = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: said.append(context))
    for _ in range(100):
        task = asyncio.create_task(pause())
        loop.call_soon(task.cancel)
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
    assert said == []
