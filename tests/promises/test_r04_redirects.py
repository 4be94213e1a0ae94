"""R4: a redirect sends no secret to another origin, whatever its target."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

import attrs

from tests.promises.candidates import CHARGEBOX, OURS, Candidate, Limits, result_of
from tests.promises.loops import AIOHTTP_LOOP
from tests.promises.secret_search import (
    TOKEN_RESPONSE,
    access,
    find_secrets,
)
from tests.support.figures import Figures, Record, nonzero, tally
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
            await thor.get_analytics(CHARGEBOX)
    else:
        async with candidate.depot(credentials, limits) as depot:
            async for _ in depot.walk(10):
                pass


async def redirect(
    candidate: Candidate, route: str, status: int, target: str, figures: Counter[str]
) -> None:
    """Redirect one request, and count what arrives at the other origin."""
    async with (
        Wire(default=serve(lambda _: ANY_BODY)) as other,
        Wire(default=serve(lambda _: ANY_BODY)) as api,
        Wire(default=serve(lambda _: ANY_BODY)) as tokens,
    ):
        redirecting = tokens if route == "depot, token call" else api
        with unused_address() as nobody:
            addresses = Addresses(redirecting.address, other.address, nobody)
            redirecting.then([raw(response(b"{}", status, Location=TARGETS[target](addresses)))])
            await result_of(call(candidate, route, api, tokens, Limits(total=5.0, read=1.0)))
        secrets = find_secrets(other.bytes.decode("latin-1"))
        figures["redirects played"] += 1
        figures["followed or sent again"] += bool(other.received) or len(redirecting.received) > 1
        figures["requests at the other origin"] += len(other.received)
        figures["secrets at the other origin"] += len(secrets)


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Redirect every route with every status and target."""
    figures = tally(
        *("redirects played", "followed or sent again"),
        *("requests at the other origin", "secrets at the other origin"),
    )
    for route, status, target in product(ROUTES, STATUSES if full else (302, 307), TARGETS):
        await redirect(candidate, route, status, target, figures)
    return figures


async def test_no_redirect_sends_a_secret_or_a_request_to_another_origin(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R4", measured)
    assert nonzero(measured) == {"redirects played"}


async def test_the_search_finds_the_secret_of_a_client_that_follows_redirects() -> None:
    figures = tally()
    await redirect(AIOHTTP_LOOP, "thor", 307, "another port", figures)
    assert nonzero(figures) >= {"requests at the other origin", "secrets at the other origin"}
