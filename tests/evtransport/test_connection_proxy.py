"""Requests through proxies: the proxy chosen, its credentials, and errors without passwords."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import aiohttp
import pytest
import typer
from yarl import URL

import depotclient.cli.app
import thorclient.cli.app
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
from tests.support.pages import ANALYTICS
from tests.support.proxy import CERTIFICATE, LoopbackProxy, client_tls, server_tls
from tests.support.wire import Wire, reply
from thorclient.sandbox import ThorSandbox

KEY = "s3cr3t/k3y"
PASSWORD = "p/ss w0rd"
PAIR = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
REQUEST = Request(("greeting",), bytes)
HELLO = reply(b"hello")

PROXY, WITH_PASSWORD = "http://PROXY", "http://me:p%2Fss%20w0rd@PROXY"
GONE = "http://me:p%2Fss%20w0rd@127.0.0.1:9"
REMOTE = "http://me:s3cr3t@192.0.2.1:3128"
TRUSTING: dict[str, Any] = {"trust_env": True}

Get = Callable[..., Any]


@pytest.fixture
async def proxy() -> AsyncIterator[LoopbackProxy]:
    async with LoopbackProxy() as running:
        yield running


@pytest.fixture
async def tls_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that trusts the test certificate."""
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


def at(proxy: LoopbackProxy, value: Any) -> Any:
    """Return an option with the address of this proxy."""
    return value.replace("PROXY", proxy.address) if isinstance(value, str) else value


# Which proxy.


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize(
    ("environment", "session", "argument", "authorizations"),
    [
        # The environment. A proxy gets no credential in ~/.netrc.
        *((PROXY, session, None, []) for session in (None, TRUSTING)),
        *((WITH_PASSWORD, session, None, [f"Basic {PAIR}"]) for session in (None, TRUSTING)),
        # Plain http bypasses a proxy on another machine.
        *((REMOTE, session, None, None) for session in (None, TRUSTING)),
        # A session keeps its own proxy.
        *(
            (REMOTE, {"proxy": WITH_PASSWORD, "trust_env": trust_env}, None, [f"Basic {PAIR}"])
            for trust_env in (False, True)
        ),
        # The argument overrides both.
        *((PROXY, session, False, None) for session in (None, TRUSTING, {"proxy": PROXY})),
        ("", {"proxy": "http://you:other@127.0.0.1:9", **TRUSTING}, PROXY, []),
        ("", None, WITH_PASSWORD, [f"Basic {PAIR}"]),
    ],
)
async def test_a_request_uses_the_proxy_of_the_argument_the_session_or_the_environment(
    get: Get,
    monkeypatch: pytest.MonkeyPatch,
    proxy: LoopbackProxy,
    environment: str,
    session: dict[str, Any] | None,
    argument: str | Literal[False] | None,
    authorizations: list[str] | None,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", at(proxy, environment))
    options = {name: at(proxy, value) for name, value in (session or {}).items()}
    async with Wire(HELLO) as wire, aiohttp.ClientSession(**options) as given:
        await get(wire, at(proxy, argument), session=given if session else None)

    assert bool(proxy.heads) is (authorizations is not None)
    assert proxy.authorizations == (authorizations or [])


async def test_https_uses_a_tunnel_and_the_proxy_sees_no_api_key(
    get: Get, proxy: LoopbackProxy, tls_session: aiohttp.ClientSession
) -> None:
    async with Wire(HELLO, HELLO, tls=server_tls()) as wire:
        for _ in range(2):
            assert await get(wire, at(proxy, WITH_PASSWORD), session=tls_session) == b"hello"

    assert proxy.first_lines == [f"CONNECT {wire.url.removeprefix('https://')} HTTP/1.1"]
    assert proxy.authorizations == [f"Basic {PAIR}"]
    assert KEY not in "".join(proxy.heads)
    for received in wire.received:
        assert received.headers["X-Api-Key"] == KEY
        assert "Proxy-Authorization" not in received.headers


async def test_token_requests_use_the_proxy(get: Get, proxy: LoopbackProxy) -> None:
    async with Wire(HELLO) as wire, Wire(reply(b'{"access_token": "t0k3n"}')) as tokens:
        auth = ClientCredentials("me", Secret("s3cr3t"), URL(f"{tokens.url}/token"))
        await get(wire, proxy.url, auth=auth)

    assert proxy.first_lines == [
        f"POST {tokens.url}/token HTTP/1.1",
        f"GET {wire.url}/greeting HTTP/1.1",
    ]


@pytest.mark.parametrize(
    ("scheme", "address", "kind", "message"),
    [
        ("http", GONE, ConnectionFailed, "Cannot connect to host 127"),
        ("https", GONE, ConnectionFailed, "Cannot connect to host 127"),
        ("http", WITH_PASSWORD, StatusError, "407 Proxy Authentication Required"),
        ("https", WITH_PASSWORD, ConnectionFailed, "Proxy Authentication Required"),
    ],
)
async def test_a_proxy_that_is_gone_or_refuses_is_an_error_that_shows_no_password(
    get: Get,
    tls_session: aiohttp.ClientSession,
    scheme: str,
    address: str,
    kind: type[ApiError],
    message: str,
) -> None:
    tls = server_tls() if scheme == "https" else None
    async with Wire(tls=tls) as wire, LoopbackProxy(refuses=True) as proxy:
        with pytest.raises(kind, match=message) as caught:
            await get(wire, at(proxy, address), session=tls_session)

    assert_hidden(caught.value)


async def test_a_password_in_a_response_is_redacted(get: Get, proxy: LoopbackProxy) -> None:
    async with Wire(reply(f'{{"message": "{PASSWORD} {PAIR}"}}'.encode(), status=400)) as wire:
        with pytest.raises(StatusError) as caught:
            await get(wire, at(proxy, WITH_PASSWORD))

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
    async with Wire(reply(ANALYTICS), tls=server_tls()) as wire:
        monkeypatch.setenv("THOR_API_KEY", KEY)
        monkeypatch.setenv("THOR_BASE_URL", wire.url)
        monkeypatch.setenv("HTTPS_PROXY", at(proxy, WITH_PASSWORD))
        monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
        command = Command(thorclient.cli.app.app, "thorclient")
        status, out, err = await asyncio.to_thread(command.completed, "analytics", "CP-1")

    assert (status, err) == (0, b"")
    assert out.startswith(b'{"id":"CP-1"')
    assert proxy.authorizations == [f"Basic {PAIR}"]


@pytest.mark.parametrize(
    ("app", "argv"),
    [
        (thorclient.cli.app.app, ("chargebox", ThorSandbox().chargebox_ids[0], "--sandbox")),
        (depotclient.cli.app.app, ("reports", "CP-001/1", "--sandbox")),
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
