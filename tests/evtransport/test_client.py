"""Base class of the clients: shared options, closing and repr."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from evtransport import (
    ApiError,
    DecodeError,
    RetryPolicy,
    RetryQuota,
    SchemaError,
    Timeout,
    Transport,
)
from evtransport.client import ApiClient, read_environment
from evtransport.http import Request
from evtransport.structure import Structures
from tests.support.wire import Wire, reply


@attrs.frozen
class Greeting:
    """Object of some endpoint."""

    text: str


class GreetingClient(ApiClient):
    _structures = Structures()

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


# Endpoints without a method.


@pytest.mark.parametrize(
    ("body", "into", "result"),
    [
        (b'{"text": "hi", "n": [1, null]}', None, {"text": "hi", "n": [1, None]}),
        (b'"hi"', None, "hi"),
        (b'{"text": "hi", "n": 1}', Greeting, Greeting("hi")),
        (b'[{"text": "hi"}, {"text": "ho"}]', list[Greeting], [Greeting("hi"), Greeting("ho")]),
        (b"[]", list[Greeting], []),
        (b'{"text": "hi"}', len, 14),
    ],
)
async def test_get_returns_json_values_or_the_result_of_into(
    connect: Callable[..., Transport], body: bytes, into: Any, result: object
) -> None:
    async with Wire(reply(status=503), reply(body)) as wire:
        async with GreetingClient(connect(wire)) as client:
            found = await client.get(
                "greetings", "a/b c", query={"to": "a&b", "loud": True, "from": None}, into=into
            )

    assert found == result
    assert wire.received[0].target == "/greetings/a%2Fb%20c?to=a%26b&loud=true"
    assert wire.received[0].headers == wire.received[1].headers


@pytest.mark.parametrize(
    ("body", "into", "kind", "message"),
    [
        (
            b'{"text": 5}',
            Greeting,
            SchemaError,
            r"\$\.text: Greeting.text is declared str",
        ),
        (
            b'[{"text": "hi"}, {"text": 5}]',
            list[Greeting],
            SchemaError,
            r"\$\[1\]\.text: Greeting.text is declared",
        ),
        (b'{"text": "hi"}', list[Greeting], SchemaError, r"\$: expected array, got object"),
        (b"<html>", None, DecodeError, "not JSON"),
    ],
)
async def test_a_response_that_does_not_fit_is_an_error_with_a_path(
    connect: Callable[..., Transport], body: bytes, into: Any, kind: type[ApiError], message: str
) -> None:
    async with Wire(reply(body)) as wire:
        async with GreetingClient(connect(wire, retry=RetryPolicy(attempts=1))) as client:
            with pytest.raises(kind, match=message):
                await client.get("greetings", into=into)


def refuse(instance: object, attribute: object, value: str) -> None:
    raise ValueError(f"{value} is refused")


@attrs.frozen
class Picky:
    text: str = attrs.field(validator=refuse)


@pytest.mark.parametrize("into", [Picky, list[Picky]])
async def test_an_error_of_a_class_does_not_show_a_credential_that_the_server_repeats(
    connect: Callable[..., Transport], into: Any
) -> None:
    body = b'{"text": "s3cr3t/k3y"}' if into is Picky else b'[{"text": "s3cr3t/k3y"}]'
    async with Wire(reply(body)) as wire, GreetingClient(connect(wire)) as client:
        with pytest.raises(SchemaError, match=r"\*{10} is refused") as caught:
            await client.get("greetings", into=into)

    assert "s3cr3t" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(
    ("segments", "options", "message"),
    [
        ((), {}, "get.. requires the segments of a path"),
        (("a", ".."), {}, "segment 2 must not consist only of dots"),
        (("a", 5), {}, "segment 2 must be a string, not int"),
        (("a",), {"query": [("b", "c")]}, "query must map names to values"),
        (("a",), {"into": int}, "into=int is neither"),
        (("a",), {"into": list[int]}, "into=int is neither"),
        (("a",), {"into": 5}, "into must be an attrs class, a dataclass or a function"),
    ],
)
async def test_an_invalid_argument_of_get_is_rejected_without_a_request(
    connect: Callable[..., Transport], segments: Any, options: Any, message: str
) -> None:
    async with Wire() as wire, GreetingClient(connect(wire)) as client:
        with pytest.raises(ValueError, match=f"^{message}"):
            await client.get(*segments, **options)
        assert not wire.received


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
