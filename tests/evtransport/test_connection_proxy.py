"""Requests through proxies: which proxy, which credentials it gets, and which errors show none."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import typer
from yarl import URL

import depotclient.cli.app
import thorclient.cli
from evtransport import (
    ApiError,
    ClientCredentials,
    ConnectionFailed,
    RetryPolicy,
    Secret,
    StatusError,
    Transport,
)
from evtransport.http import Request
from evtransport.proxy import seal_proxy
from tests.support.commands import Command
from tests.support.error_dump import dump_error
from tests.support.proxy import CERTIFICATE, LoopbackProxy, client_tls, server_tls
from tests.support.wire import Wire, reply
from thorclient.sandbox import ThorSandbox

KEY = "s3cr3t/k3y"
PASSWORD = "p/ss w0rd"
PAIR = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
REQUEST = Request(("greeting",), bytes)
HELLO = reply(b"hello")

Get = Callable[..., Any]


@pytest.fixture
async def proxy() -> AsyncIterator[LoopbackProxy]:
    async with LoopbackProxy() as running:
        yield running


@pytest.fixture
async def tls_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that trusts the certificate of the tests."""
    connector = aiohttp.TCPConnector(ssl=client_tls())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
def get(connect: Callable[..., Transport]) -> Get:
    """Return a function that makes one call with a new client."""

    async def call(wire: Wire, proxy: Any = None, **options: Any) -> bytes:
        once = RetryPolicy(attempts=1)
        transport = connect(wire, proxy=seal_proxy(proxy), retry=once, **options)
        return await transport.send(REQUEST)

    return call


def with_password(proxy: LoopbackProxy) -> str:
    return f"http://me:p%2Fss%20w0rd@{proxy.address}"


@pytest.mark.usefixtures("netrc")
async def test_a_proxy_gets_no_credential_in_netrc(
    get: Get, monkeypatch: pytest.MonkeyPatch, proxy: LoopbackProxy
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    async with Wire(HELLO, HELLO) as wire, aiohttp.ClientSession(trust_env=True) as session:
        await get(wire)
        await get(wire, session=session)

    assert len(proxy.heads) == 2
    assert proxy.authorizations == []


@pytest.mark.usefixtures("netrc")
async def test_a_session_that_trusts_the_environment_uses_its_proxy_and_user(
    get: Get, monkeypatch: pytest.MonkeyPatch, proxy: LoopbackProxy
) -> None:
    monkeypatch.setenv("HTTP_PROXY", with_password(proxy))
    async with Wire(HELLO) as wire, aiohttp.ClientSession(trust_env=True) as session:
        await get(wire, session=session)

    assert proxy.authorizations == [f"Basic {PAIR}"]


@pytest.mark.parametrize("borrowed", [False, True])
async def test_plain_http_bypasses_a_proxy_on_another_machine(
    get: Get, monkeypatch: pytest.MonkeyPatch, borrowed: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:s3cr3t@192.0.2.1:3128")
    async with Wire(HELLO) as wire, aiohttp.ClientSession(trust_env=True) as session:
        assert await get(wire, session=session if borrowed else None) == b"hello"


async def test_proxy_false_overrules_the_environment_and_the_session(
    get: Get, monkeypatch: pytest.MonkeyPatch, proxy: LoopbackProxy
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    async with (
        Wire(default=HELLO) as wire,
        aiohttp.ClientSession(trust_env=True) as trusting,
        aiohttp.ClientSession(proxy=proxy.url) as proxied,
    ):
        for session in (None, trusting, proxied):
            assert await get(wire, proxy=False, session=session) == b"hello"

    assert proxy.heads == []


@pytest.mark.parametrize("trust_env", [False, True])
async def test_a_session_keeps_its_own_proxy(
    get: Get, monkeypatch: pytest.MonkeyPatch, proxy: LoopbackProxy, trust_env: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    async with (
        Wire(HELLO) as wire,
        aiohttp.ClientSession(proxy=with_password(proxy), trust_env=trust_env) as session,
    ):
        await get(wire, session=session)

    assert proxy.authorizations == [f"Basic {PAIR}"]


# The proxy of the argument.


async def test_plain_http_is_sent_in_absolute_form(get: Get, proxy: LoopbackProxy) -> None:
    async with Wire(HELLO) as wire:
        assert await get(wire, with_password(proxy)) == b"hello"

    assert proxy.first_lines == [f"GET {wire.url}/greeting HTTP/1.1"]
    assert proxy.authorizations == [f"Basic {PAIR}"]
    assert wire.received[0].headers["X-Api-Key"] == KEY


async def test_https_uses_a_tunnel_and_the_proxy_sees_no_api_key(
    get: Get, proxy: LoopbackProxy, tls_session: aiohttp.ClientSession
) -> None:
    async with Wire(HELLO, HELLO, tls=server_tls()) as wire:
        for _ in range(2):
            assert await get(wire, with_password(proxy), session=tls_session) == b"hello"

    assert proxy.first_lines == [f"CONNECT {wire.url.removeprefix('https://')} HTTP/1.1"]
    assert proxy.authorizations == [f"Basic {PAIR}"]
    assert KEY not in "".join(proxy.heads)
    for received in wire.received:
        assert received.headers["X-Api-Key"] == KEY
        assert "Proxy-Authorization" not in received.headers


async def test_the_argument_overrules_the_proxy_of_the_session_and_its_password(
    get: Get,
    proxy: LoopbackProxy,
) -> None:
    async with (
        Wire(HELLO) as wire,
        aiohttp.ClientSession(proxy="http://you:other@127.0.0.1:9", trust_env=True) as session,
    ):
        await get(wire, proxy.url, session=session)

    assert len(proxy.heads) == 1
    assert proxy.authorizations == []


async def test_token_requests_use_the_proxy(get: Get, proxy: LoopbackProxy) -> None:
    async with Wire(HELLO) as wire, Wire(reply(b'{"access_token": "t0k3n"}')) as tokens:
        auth = ClientCredentials("me", Secret("s3cr3t"), URL(f"{tokens.url}/token"))
        await get(wire, proxy.url, auth=auth)

    assert proxy.first_lines == [
        f"POST {tokens.url}/token HTTP/1.1",
        f"GET {wire.url}/greeting HTTP/1.1",
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_unreachable_proxy_is_a_failed_connection_that_shows_no_password(
    get: Get, tls_session: aiohttp.ClientSession, scheme: str
) -> None:
    async with LoopbackProxy() as gone:
        address = with_password(gone)
    tls = server_tls() if scheme == "https" else None
    async with Wire(tls=tls) as wire:
        with pytest.raises(ConnectionFailed, match="Cannot connect to host 127") as caught:
            await get(wire, address, session=tls_session)

    assert_hidden(caught.value)


@pytest.mark.parametrize(
    ("scheme", "kind", "message"),
    [
        ("http", StatusError, "the server responded with 407"),
        ("https", ConnectionFailed, "Proxy Authentication Required"),
    ],
)
async def test_a_refusal_of_the_proxy_is_an_error_that_shows_no_password(
    get: Get, tls_session: aiohttp.ClientSession, scheme: str, kind: type[ApiError], message: str
) -> None:
    tls = server_tls() if scheme == "https" else None
    async with Wire(tls=tls) as wire, LoopbackProxy(refuses=True) as proxy:
        with pytest.raises(kind, match=message) as caught:
            await get(wire, with_password(proxy), session=tls_session)

    assert_hidden(caught.value)


async def test_a_password_in_a_response_is_redacted(get: Get, proxy: LoopbackProxy) -> None:
    async with Wire(reply(f'{{"message": "{PASSWORD} {PAIR}"}}'.encode(), status=400)) as wire:
        with pytest.raises(StatusError) as caught:
            await get(wire, with_password(proxy))

    assert caught.value.body == b'{"message": "********** **********"}'
    assert_hidden(caught.value)


def assert_hidden(error: BaseException) -> None:
    shown = dump_error(error)
    assert [text for text in (PASSWORD, "p%2Fss", PAIR) if text in shown] == []


# Command lines.


@pytest.mark.slow
async def test_a_command_line_uses_the_proxy_and_authorities_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, proxy: LoopbackProxy
) -> None:
    counts = b'{"last_7": 1, "last_30": 2, "last_60": 3}'
    analytics = b'{"charges": %b, "disconnections": %b, "energy": %b, "users": %b}' % (
        (counts,) * 4
    )
    async with Wire(reply(analytics), tls=server_tls()) as wire:
        monkeypatch.setenv("THOR_API_KEY", KEY)
        monkeypatch.setenv("THOR_BASE_URL", wire.url)
        monkeypatch.setenv("HTTPS_PROXY", with_password(proxy))
        monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
        command = Command(thorclient.cli.app, "thorclient")
        status, out, err = await asyncio.to_thread(command.completed, "analytics", "CP-1")

    assert (status, err) == (0, b"")
    assert out.startswith(b'{"id":"CP-1"')
    assert proxy.authorizations == [f"Basic {PAIR}"]


@pytest.mark.parametrize(
    ("app", "argv"),
    [
        (thorclient.cli.app, ("chargebox", ThorSandbox().chargebox_ids[0], "--sandbox")),
        (depotclient.cli.app.app, ("reports", "CP-001", "1", "--sandbox")),
    ],
    ids=["thorclient", "depotclient"],
)
def test_requests_to_a_sandbox_bypass_every_proxy(
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    app: typer.Typer,
    argv: tuple[str, ...],
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert Command(app, "client").run(*argv) == 0
    out, err = capfdbinary.readouterr()
    assert out
    assert err == b""
