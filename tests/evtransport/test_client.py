"""Base class of the clients: shared options, closing and repr."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from evtransport import RetryPolicy, RetryQuota, Timeout, Transport
from evtransport.client import ApiClient, read_environment
from evtransport.http import Request
from tests.support.wire import Wire, reply


class GreetingClient(ApiClient):
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def greet(self) -> bytes:
        return await self._transport.send(Request(("greeting",), bytes))


async def test_with_options_shares_session_credentials_and_quota_but_not_ownership(
    connect: Callable[..., Transport],
) -> None:
    quota, limiter = RetryQuota(), asyncio.Lock()
    async with Wire(reply(), reply()) as wire:
        async with GreetingClient(connect(wire, quota=quota)) as client:
            other = client.with_options(
                retry=RetryPolicy(attempts=1), timeout=Timeout(total=1), limiter=limiter
            )
            async with other:
                assert await other.greet() == b"{}"
            assert await client.greet() == b"{}"
            assert wire.connections == 1
            changed = other._transport
            assert (changed._quota, changed.auth) == (quota, client._transport.auth)
            assert (changed.retry.attempts, changed.timeout.total) == (1, 1)
            same = other.with_options()._transport
            assert (same.retry, same.timeout, same.limiter) == (
                *(changed.retry, changed.timeout),
                limiter,
            )
            assert other.with_options(limiter=None)._transport.limiter is None
        with pytest.raises(RuntimeError, match="closed"):
            await other.greet()


async def test_the_repr_names_the_address_and_no_secret(
    connect: Callable[..., Transport],
) -> None:
    async with Wire() as wire:
        client = GreetingClient(connect(wire))
        assert repr(client) == f"<GreetingClient of {wire.url}>"
        assert "s3cr3t" not in repr(client._transport)
    assert repr(ApiClient()) == "<ApiClient of no address>"


def test_a_blank_environment_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREETING", " hello ")
    assert read_environment("GREETING") == "hello"
    monkeypatch.setenv("GREETING", "  ")
    assert read_environment("GREETING") is None
