"""R4: a redirect takes no secret to another origin, wherever it points and whoever follows it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from urllib.parse import quote, quote_plus

import aiohttp
import attrs
import pytest

from depotclient import ApiError, RedirectError
from tests.promises.contestants import CHARGEBOX, OURS, Access, Contestant, Patience
from tests.support.figures import Figures, Record
from tests.support.loopback import LoopbackServer
from tests.support.pages import ANALYTICS
from tests.support.wire import Wire, answer

PATIENCE = Patience(total=5.0, read=1.0)
STATUSES = (301, 302, 303, 307, 308)

API_KEY = "k3y/of+the=integration-2b7e151628aed2a6"
TOKEN = "t0k3n/that+lasts=abf7158809cf4f3c762e7160"
CLIENT_SECRET = "s3cret/of+the=depot-f38b4da56a784d9045190cf"
FETCHED_TOKEN = "f3tched/by+the=client-af2e03c1a6e5b0d7f9c8"
CREDENTIALS = Access(base_url="", api_key=API_KEY, token=TOKEN, client_secret=CLIENT_SECRET)
BASIC_PAIR = base64.b64encode(f"{CREDENTIALS.client_id}:{CLIENT_SECRET}".encode()).decode()
SECRETS = (API_KEY, TOKEN, CLIENT_SECRET, BASIC_PAIR, FETCHED_TOKEN)

FOR_EVERYBODY = json.dumps(
    {"items": [], "access_token": FETCHED_TOKEN, "expires_in": 3600, **json.loads(ANALYTICS)}
).encode()
"""An answer that satisfies whoever asks: a last page, a token, and analytics in one."""


def spellings(secret: str) -> set[str]:
    """How a secret may be written by those who pass it on."""
    percent_encoded = quote(secret, safe="")
    return {
        secret,
        percent_encoded,
        re.sub("%..", lambda found: found[0].lower(), percent_encoded),
        quote_plus(secret),
        quote(secret),
        json.dumps(secret)[1:-1],
        secret.replace("/", r"\/"),
        html.escape(secret),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("="),
    }


def secrets_in(heard: bytes | bytearray) -> set[str]:
    """Those that arrived, however they are written."""
    text = heard.decode("latin-1")
    return {secret for secret in SECRETS if any(s in text for s in spellings(secret))}


class Listener(LoopbackServer):
    """Another server: it keeps every byte that arrives, and answers every request the same."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self.heard = bytearray()
        self.requests: list[bytes] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    self.heard += head
                    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                    body = await reader.readexactly(int(length[1]) if length else 0)
                    self.heard += body
                    self.requests.append(head + body)
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(self._body), self._body)
                    )
                    await writer.drain()
            except asyncio.IncompleteReadError as cut:  # such as a TLS handshake
                self.heard += cut.partial


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that nobody listens at, and that nobody else can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@attrs.frozen
class Places:
    """Host and port of the server that redirects, of another one, and of nobody."""

    here: str
    there: str
    nowhere: str


TARGETS: dict[str, Callable[[Places], str]] = {
    "another port": lambda at: f"http://{at.there}/v1/elsewhere",
    "scheme-relative": lambda at: f"//{at.there}/v1/elsewhere",
    "an absolute path": lambda at: "/v1/elsewhere",
    "a relative path": lambda at: "elsewhere?page=1",
    "a user in the URL": lambda at: f"http://{at.here.replace(':', '%3A')}:pw@{at.there}/v1",
    "https that refuses": lambda at: f"https://{at.nowhere}/v1/elsewhere",
    "another name of the host": lambda at: f"http://localhost:{at.there.split(':')[1]}/v1",
}

ROADS = ("depot, token", "depot, client credentials", "depot, token call", "thor")
"""Which request is redirected."""


@attrs.frozen
class Outcome:
    """What one redirect has led to.

    Attributes:
        error: What the call ended with.
        here: Requests at the server that redirects.
        elsewhere: Requests at the other origin.
        secrets: Secrets that arrived there.
    """

    error: Exception | None
    here: int
    elsewhere: int
    secrets: int


async def redirected(contestant: Contestant, road: str, status: int, target: str) -> Outcome:
    """Answer one request with a redirect, and whatever comes after it as is wished."""
    error: Exception | None = None
    async with (
        Listener(FOR_EVERYBODY) as other,
        Wire(default=answer(FOR_EVERYBODY)) as api,
        Wire(default=answer(FOR_EVERYBODY)) as tokens,
    ):
        redirecting = tokens if road == "depot, token call" else api
        with refusing_port() as nobody:
            there = Places(
                redirecting.url.removeprefix("http://"), other.address, f"127.0.0.1:{nobody}"
            )
            location = TARGETS[target](there)
            redirecting.then([answer(status=status, headers={"Location": location})])
            try:
                await call(contestant, road, api, tokens)
            except Exception as raised:
                error = raised
        return Outcome(
            error=error,
            here=len(redirecting.received),
            elsewhere=len(other.requests),
            secrets=len(secrets_in(other.heard)),
        )


async def call(
    contestant: Contestant, road: str, api: Wire, tokens: Wire, patience: Patience = PATIENCE
) -> None:
    """One call over one of the roads."""
    access = attrs.evolve(
        CREDENTIALS,
        base_url=api.url,
        token_url=f"{tokens.url}/oauth2/token",
        token=TOKEN if road == "depot, token" else None,
    )
    if road == "thor":
        async with contestant.thor(access, patience) as thor:
            await thor.analytics(CHARGEBOX)
    else:
        async with contestant.depot(access, patience) as depot:
            async for _ in depot.walk(10):
                pass


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Play every status with every target on every road; the quick form is the full one."""
    outcomes = [
        await redirected(contestant, *played) for played in product(ROADS, STATUSES, TARGETS)
    ]
    return {
        "redirects played": len(outcomes),
        "followed or sent again": sum(it.here > 1 or it.elsewhere > 0 for it in outcomes),
        "requests at the other origin": sum(it.elsewhere for it in outcomes),
        "secrets at the other origin": sum(it.secrets for it in outcomes),
    }


async def test_no_redirect_takes_a_secret_or_even_a_request_elsewhere(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R4", measured)
    assert measured["redirects played"] == len(STATUSES) * len(TARGETS) * len(ROADS)
    assert measured["secrets at the other origin"] == 0
    assert measured["requests at the other origin"] == 0
    assert measured["followed or sent again"] == 0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("road", ROADS)
async def test_a_redirect_is_an_error_that_names_its_status(road: str, target: str) -> None:
    for status in STATUSES:
        outcome = await redirected(OURS, road, status, target)
        assert isinstance(outcome.error, ApiError)
        assert isinstance(outcome.error, RedirectError)
        assert (outcome.error.status, outcome.error.attempts, outcome.here) == (status, 1, 1)


@pytest.mark.parametrize("target", [name for name in TARGETS if "path" not in name])
async def test_the_error_tells_that_a_redirect_points_elsewhere(target: str) -> None:
    outcome = await redirected(OURS, "thor", 302, target)
    assert "same host" not in str(outcome.error)


async def test_the_search_finds_what_a_client_that_follows_gives_away() -> None:
    async with (
        Listener(FOR_EVERYBODY) as other,
        Wire() as api,
        aiohttp.ClientSession(headers={"X-Api-Key": API_KEY}) as session,
    ):
        api.then([answer(status=307, headers={"Location": f"http://{other.address}/token"})])
        form = {"client_secret": CLIENT_SECRET}
        async with session.post(api.url, data=form) as response:
            assert await response.read() == FOR_EVERYBODY

    assert len(other.requests) == 1
    assert secrets_in(other.heard) == {API_KEY, CLIENT_SECRET}
