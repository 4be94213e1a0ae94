"""R12: a body truncated at any point gives the whole body or an error."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

from tests.promises.candidates import CHARGEBOX, OURS, Candidate, Limits, result_of, with_token
from tests.support.figures import Figures, Record, nonzero, tally
from tests.support.pages import ANALYTICS, page_of
from tests.support.responses import chunk, head, respond, response
from tests.support.wire import Received, Wire

IDS = list(range(100_000_001, 100_000_009))
ITEMS = ", ".join(f'{{"sessionId": {n}, "vehicleId": "Büs ☃ {n % 7}"}}' for n in IDS)
PAGE = f'{{"items": [{ITEMS}], "ChargerID": "CP-001", "ConnectorID": "1"}}'.encode()


def with_length(data: bytes, encoding: str) -> bytes:
    return response(data, Connection="close", Content_Encoding=encoding)


def without_length(data: bytes, encoding: str) -> bytes:
    return head(Connection="close", Content_Encoding=encoding) + data


def chunked(data: bytes, encoding: str) -> bytes:
    return chunked_without_end(data, encoding) + b"0\r\n\r\n"


def chunked_without_end(data: bytes, encoding: str) -> bytes:
    start = head(Connection="close", Transfer_Encoding="chunked", Content_Encoding=encoding)
    return start + (chunk(data) if data else b"")


Framing = Callable[[bytes, str], bytes]
FRAMINGS: tuple[Framing, ...] = (with_length, without_length, chunked, chunked_without_end)


def truncated(body: bytes, *, full: bool) -> Iterator[bytes]:
    """Yield responses with a body truncated anywhere; without `full`, mostly near the end."""
    for encoding, encoded in (("identity", body), ("gzip", gzip.compress(body, mtime=0))):
        for framing in FRAMINGS:
            for length in range(len(encoded) + 1):
                if full or length % 20 == 0 or length > len(encoded) - 10:
                    yield framing(encoded[:length], encoding)


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Truncate a page and a response with analytics at each point, in each framing."""
    figures = tally(
        *("responses", "whole", "errors", "truncated but accepted", "errors of another type"),
    )
    current = response(ANALYTICS, Connection="close")

    def response_to(request: Received) -> bytes:
        later = "sessionReports" in request.target and "page=1&" not in request.target
        return response(page_of([]), Connection="close") if later else current

    limits = Limits(attempts=1, total=5.0, read=1.0)
    async with Wire(default=respond(response_to, close=True)) as wire:
        access = with_token(wire.url)
        async with candidate.depot(access, limits) as depot, candidate.thor(access, limits) as thor:

            async def ids() -> list[int]:
                return [session_id async for session_id in depot.walk(len(IDS), read_ahead=0)]

            async def analytics() -> object:
                return await thor.get_analytics(CHARGEBOX)

            calls = [(PAGE, ids, IDS), (ANALYTICS, analytics, await analytics())]
            for whole, call, expected in calls:
                for body in truncated(whole, full=full):
                    current = body
                    result = await result_of(call(), 10)
                    figures["responses"] += 1
                    if not isinstance(result, Exception):
                        name = "whole" if result == expected else "truncated but accepted"
                    else:
                        is_documented = isinstance(result, candidate.errors)
                        name = "errors" if is_documented else "errors of another type"
                    figures[name] += 1
    return figures


async def test_a_truncated_body_gives_the_whole_body_or_an_error(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R12", measured)
    assert nonzero(measured) == {"responses", "whole", "errors"}
    # A complete body is whole in six framings, for both clients. A gzip body is also whole if only
    # a part of the gzip trailer is missing.
    assert measured["whole"] >= 2 * 6
