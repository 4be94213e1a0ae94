"""Tokens that get a 403: a renewal that may help, at most once a minute."""

from __future__ import annotations

import asyncio

import pytest

from evtransport import ApiError, ClientCredentials, ConnectionFailed
from evtransport.http import Response
from tests.support.tokens import (
    FORBIDDEN,
    INVALID_TOKEN,
    Clock,
    TokenServer,
    header,
    settle,
    token,
)


@pytest.mark.parametrize(
    ("age", "response", "renewed"),
    [
        (59.0, FORBIDDEN, False),
        (60.0, FORBIDDEN, True),
        (0.0, INVALID_TOKEN, True),
        (0.0, Response(403, {}, b'{"error": "invalid_token"}'), True),
    ],
)
async def test_a_403_renews_a_token_that_may_be_invalid(
    credentials: ClientCredentials, clock: Clock, age: float, response: Response, renewed: bool
) -> None:
    server = TokenServer(token("t0k3n-1"), token("t0k3n-2"))
    old = await credentials.get_credential(server)
    clock.now += age

    assert await credentials.renew_forbidden(old, response, server) is renewed
    assert await header(credentials, server) == f"Bearer t0k3n-{1 + renewed}"
    assert server.requests == 1 + renewed


async def test_repeated_403s_cause_one_token_request_a_minute(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(*(token(f"t0k3n-{number}") for number in range(100)))
    await credentials.get_credential(server)

    for _ in range(600):
        clock.now += 1
        credential = await credentials.get_credential(server)
        for response in (FORBIDDEN, INVALID_TOKEN):
            await credentials.renew_forbidden(credential, response, server)

    assert server.requests == 1 + 10


async def test_concurrent_403s_and_calls_share_one_renewal(
    credentials: ClientCredentials, clock: Clock
) -> None:
    server = TokenServer(token("t0k3n-1", expires_in=700), token("t0k3n-2"))
    old = await credentials.get_credential(server)
    clock.now += 640  # the regular renewal waits for that of the 403s

    renewed = await asyncio.gather(
        *(credentials.renew_forbidden(old, FORBIDDEN, server) for _ in range(10)),
        header(credentials, server),
    )

    assert renewed == [True] * 10 + ["Bearer t0k3n-2"]
    assert server.requests == 2


async def test_a_403_after_a_401_leaves_the_renewal_to_the_next_request(
    credentials: ClientCredentials,
) -> None:
    server = TokenServer(token("t0k3n-1"))
    old = await credentials.get_credential(server)
    credentials.invalidate(old)

    assert await credentials.renew_forbidden(old, FORBIDDEN, server)
    assert server.requests == 1


@pytest.mark.parametrize("failure", [ConnectionFailed("no"), Response(401, {}, b""), None])
async def test_a_failed_renewal_keeps_the_token_and_is_not_repeated_for_a_minute(
    credentials: ClientCredentials, clock: Clock, failure: Response | Exception | None
) -> None:
    server = TokenServer(token("t0k3n-1"), failure or token("lost"))
    old = await credentials.get_credential(server)
    clock.now += 600
    if failure is None:
        server.gate.clear()
        cancelled = asyncio.create_task(credentials.renew_forbidden(old, FORBIDDEN, server))
        await settle()
        waiting = asyncio.create_task(credentials.renew_forbidden(old, FORBIDDEN, server))
        await settle()
        cancelled.cancel()
        assert await waiting is False
    else:
        with pytest.raises(ApiError):
            await credentials.renew_forbidden(old, FORBIDDEN, server)

    clock.now += 59
    assert not await credentials.renew_forbidden(old, FORBIDDEN, server)
    assert await credentials.get_credential(server) == old
    assert server.requests == 2
