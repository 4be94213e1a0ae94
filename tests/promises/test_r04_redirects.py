"""R4: a redirect sends no secret to another origin, whatever its target."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import aiohttp
import attrs

from tests.promises.candidates import CHARGEBOX, OURS, Candidate, Limits
from tests.promises.secret_search import (
    API_KEY,
    CLIENT_SECRET,
    TOKEN_RESPONSE,
    access,
    find_secrets,
)
from tests.support.figures import Figures, Record
from tests.support.listener import Listener
from tests.support.pages import ANALYTICS
from tests.support.responses import response, serve
from tests.support.wire import Wire, raw

STATUSES = (301, 302, 303, 307, 308)

ANY_BODY = json.dumps({"items": [], **json.loads(TOKEN_RESPONSE), **json.loads(ANALYTICS)}).encode()
"""Correct body for every request: a last page, a token and analytics in one."""

ROUTES = ("depot, token", "depot, client credentials", "depot, token call", "thor")
"""Requests that are redirected."""


@attrs.frozen
class Addresses:
    """Host and port of the redirecting server, of another server, and of no server."""

    redirecting: str
    other: str
    nobody: str


TARGETS: dict[str, Callable[[Addresses], str]] = {
    "another port": lambda to: f"http://{to.other}/v1/x",
    "scheme-relative": lambda to: f"//{to.other}/v1/x",
    "an absolute path": lambda to: "/v1/x",
    "a relative path": lambda to: "x?page=1",
    "a user in the URL": lambda to: f"http://{to.redirecting.replace(':', '%3A')}:p@{to.other}/v1",
    "https that refuses": lambda to: f"https://{to.nobody}/v1/x",
    "another name of the host": lambda to: f"http://localhost:{to.other.split(':')[1]}/v1",
}


@contextmanager
def unused_address() -> Iterator[str]:
    """Reserve an address on which no server listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


async def call(candidate: Candidate, route: str, api: Wire, tokens: Wire, limits: Limits) -> None:
    """Call the API through a route."""
    credentials = access(api.url, tokens.url, by_token=route == "depot, token")
    if route == "thor":
        async with candidate.thor(credentials, limits) as thor:
            await thor.analytics(CHARGEBOX)
    else:
        async with candidate.depot(credentials, limits) as depot:
            async for _ in depot.walk(10):
                pass


@attrs.frozen
class Outcome:
    """Error of a redirected call, and the requests and secrets that each server received."""

    error: Exception | None
    requests: int
    requests_to_other: int
    secrets: int


async def redirect(candidate: Candidate, route: str, status: int, target: str) -> Outcome:
    """Redirect one request."""
    error: Exception | None = None
    async with (
        Listener(ANY_BODY) as other,
        Wire(default=serve(lambda _: ANY_BODY)) as api,
        Wire(default=serve(lambda _: ANY_BODY)) as tokens,
    ):
        redirecting = tokens if route == "depot, token call" else api
        with unused_address() as nobody:
            addresses = Addresses(redirecting.url.removeprefix("http://"), other.address, nobody)
            redirecting.then([raw(response(b"{}", status, Location=TARGETS[target](addresses)))])
            try:
                await call(candidate, route, api, tokens, Limits(total=5.0, read=1.0))
            except Exception as raised:
                error = raised
        secrets = find_secrets(other.received.decode("latin-1"))
        return Outcome(error, len(redirecting.received), len(other.requests), len(secrets))


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Redirect every route with every status and target."""
    outcomes = [
        await redirect(candidate, *case)
        for case in product(ROUTES, STATUSES if full else (302, 307), TARGETS)
    ]
    return {
        "redirects played": len(outcomes),
        "followed or sent again": sum(
            outcome.requests > 1 or outcome.requests_to_other > 0 for outcome in outcomes
        ),
        "requests at the other origin": sum(outcome.requests_to_other for outcome in outcomes),
        "secrets at the other origin": sum(outcome.secrets for outcome in outcomes),
    }


async def test_no_redirect_sends_a_secret_or_a_request_to_another_origin(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R4", measured)
    assert measured["redirects played"] >= 2 * len(TARGETS) * len(ROUTES)
    assert measured["secrets at the other origin"] == 0
    assert measured["requests at the other origin"] == 0
    assert measured["followed or sent again"] == 0


async def test_the_search_finds_the_secrets_of_a_client_that_follows() -> None:
    async with (
        Listener(ANY_BODY) as other,
        Wire() as api,
        aiohttp.ClientSession(headers={"X-Api-Key": API_KEY}) as session,
    ):
        location = f"http://{other.address}/token"
        api.then([raw(response(b"{}", 307, Location=location))])
        async with session.post(api.url, data={"client_secret": CLIENT_SECRET}) as received:
            assert await received.read() == ANY_BODY

    assert len(other.requests) == 1
    assert find_secrets(other.received.decode("latin-1")) == {API_KEY, CLIENT_SECRET}
