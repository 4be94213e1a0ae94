"""R12: a body truncated at any point gives the whole body or an error."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator

import attrs

from tests.promises.candidates import CHARGEBOX, OURS, Candidate, Depot, Limits, with_token
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS, page_of
from tests.support.responses import chunk, head, respond, response
from tests.support.wire import Received, Wire

IDS = list(range(100_000_001, 100_000_009))
PAGE = json.dumps(
    {
        "items": [{"sessionId": n, "vehicleId": f"Büs ☃ {n % 7}"} for n in IDS],
        "ChargerID": "CP-001",
        "ConnectorID": "1",
    },
    ensure_ascii=False,
).encode()


def with_length(data: bytes, encoding: str) -> bytes:
    return response(data, Connection="close", Content_Encoding=encoding)


def without_length(data: bytes, encoding: str) -> bytes:
    return head(Connection="close", Content_Encoding=encoding) + data


def chunked(data: bytes, encoding: str) -> bytes:
    return chunked_without_end(data, encoding) + b"0\r\n\r\n"


def chunked_without_end(data: bytes, encoding: str) -> bytes:
    start = head(Connection="close", Transfer_Encoding="chunked", Content_Encoding=encoding)
    return start + (chunk(data) if data else b"")


FRAMINGS: tuple[Callable[[bytes, str], bytes], ...] = (
    *(with_length, without_length, chunked, chunked_without_end),
)


def truncated(body: bytes, *, full: bool) -> Iterator[bytes]:
    """Yield responses whose bodies are truncated anywhere, or in short mostly near the end."""
    for encoding, encoded in (("identity", body), ("gzip", gzip.compress(body, mtime=0))):
        for framing in FRAMINGS:
            for length in range(len(encoded) + 1):
                if full or length % 20 == 0 or length > len(encoded) - 10:
                    yield framing(encoded[:length], encoding)


@attrs.define
class Outcomes:
    """Numbers of responses by the result of the call."""

    errors: tuple[type[Exception], ...]
    responses: int = 0
    whole: int = 0
    failed: int = 0
    truncated: int = 0
    other: int = 0

    async def add(self, call: Awaitable[object], expected: object) -> None:
        """Add the result of one call."""
        self.responses += 1
        try:
            async with asyncio.timeout(10):
                result = await call
        except self.errors:
            self.failed += 1
        except Exception:
            self.other += 1
        else:
            self.whole += result == expected
            self.truncated += result != expected


async def ids_of(depot: Depot) -> list[int]:
    return [session_id async for session_id in depot.walk(len(IDS), read_ahead=0)]


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Truncate a page and a response with analytics at each point, in each framing."""
    outcomes = Outcomes(candidate.errors)
    current = response(ANALYTICS, Connection="close")

    def response_to(request: Received) -> bytes:
        later = "sessionReports" in request.target and "page=1&" not in request.target
        return response(page_of([]), Connection="close") if later else current

    limits = Limits(attempts=1, total=5.0, read=1.0)
    async with Wire(default=respond(response_to, close=True)) as wire:
        access = with_token(wire.url)
        async with (
            candidate.depot(access, limits) as depot,
            candidate.thor(access, limits) as thor,
        ):
            analytics = await thor.analytics(CHARGEBOX)
            for body in truncated(PAGE, full=full):
                current = body
                await outcomes.add(ids_of(depot), IDS)
            for body in truncated(ANALYTICS, full=full):
                current = body
                await outcomes.add(thor.analytics(CHARGEBOX), analytics)
    return {
        "responses": outcomes.responses,
        "whole": outcomes.whole,
        "errors": outcomes.failed,
        "truncated but accepted": outcomes.truncated,
        "errors of another type": outcomes.other,
    }


async def test_a_truncated_body_is_whole_or_an_error(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R12", measured)
    assert measured["truncated but accepted"] == 0
    assert measured["errors of another type"] == 0
    # A complete body is whole in six framings, for both clients. A gzip body is also whole if only
    # a part of the gzip trailer is missing.
    assert measured["whole"] >= 2 * 6
