"""Calls with access tokens over a real socket: when a token is requested and renewed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from evtransport import AuthError, ClientCredentials, RetryPolicy, Secret, Transport
from evtransport.http import Request
from tests.support.wire import Script, Wire, hang_up, reply

REQUEST = Request(("greeting",), bytes)
HELLO = reply(b"hello")
INVALID_TOKEN = b'{"error": "invalid_token"}'

Connect = Callable[..., Transport]


def token(value: str) -> Script:
    return reply(f'{{"access_token": "{value}", "expires_in": 3600}}'.encode())


def with_tokens(connect: Connect, wire: Wire, tokens: Wire, **options: Any) -> Transport:
    auth = ClientCredentials("client", Secret("s3cr3t"), URL(tokens.url))
    return connect(wire, auth=auth, **options)


async def test_a_token_is_requested_by_a_form_and_sent(connect: Connect) -> None:
    async with Wire(HELLO) as wire, Wire(reply(status=500), hang_up(), token("new")) as tokens:
        assert await with_tokens(connect, wire, tokens).send(REQUEST) == b"hello"

    assert wire.received[0].headers["Authorization"] == "Bearer new"
    request = tokens.received[-1]
    assert (request.method, request.body) == ("POST", b"grant_type=client_credentials")
    assert request.headers["Authorization"] == "Basic Y2xpZW50OnMzY3IzdA=="
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("attempts", [1, 2])
async def test_an_invalid_token_is_renewed_and_the_request_sent_once_more(
    connect: Connect, attempts: int, status: int
) -> None:
    refusal = reply(INVALID_TOKEN, status=status)
    async with Wire(refusal, HELLO) as wire, Wire(token("old"), token("new")) as tokens:
        retry = RetryPolicy(attempts=attempts)
        assert await with_tokens(connect, wire, tokens, retry=retry).send(REQUEST) == b"hello"

    used = [received.headers["Authorization"] for received in wire.received]
    assert used == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("statuses", [(401, 401), (401, 403), (403, 401), (403, 403)])
async def test_a_call_renews_the_token_at_most_once(
    connect: Connect, statuses: tuple[int, int]
) -> None:
    refusals = [reply(INVALID_TOKEN, status=status) for status in statuses]
    async with Wire(*refusals) as wire, Wire(token("old"), token("new")) as tokens:
        with pytest.raises(AuthError) as caught:
            await with_tokens(connect, wire, tokens).send(REQUEST)

    assert (caught.value.status, caught.value.attempts) == (statuses[1], 2)


async def test_the_request_after_a_renewal_counts_as_an_attempt(connect: Connect) -> None:
    async with Wire(reply(status=503), reply(status=401)) as wire, Wire(token("old")) as tokens:
        transport = with_tokens(connect, wire, tokens, retry=RetryPolicy(attempts=2))
        with pytest.raises(AuthError):
            await transport.send(REQUEST)


async def test_a_403_after_a_failed_renewal_is_the_error_of_the_call(connect: Connect) -> None:
    invalid = reply(INVALID_TOKEN, status=403)
    async with Wire(invalid, invalid) as wire, Wire(token("old"), reply(status=503)) as tokens:
        with pytest.raises(AuthError, match="the server responded with 403") as caught:
            await with_tokens(connect, wire, tokens).send(REQUEST)

    assert caught.value.attempts == 2
