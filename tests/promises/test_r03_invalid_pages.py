"""R3: a response that is not a page of reports is an error and never ends a walk."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product

import attrs

from tests.promises.candidates import CHARGER, CONNECTOR, OURS, Candidate, with_token
from tests.support.figures import Figures, Record
from tests.support.pages import pages_of
from tests.support.responses import response
from tests.support.wire import Received, Wire

INVALID = {
    "an object without the key": response(b"{}"),
    "null": response(b"null"),
    "a bare list": response(b"[]"),
    "null for the list": response(
        json.dumps({"items": None, "ChargerID": CHARGER, "ConnectorID": CONNECTOR}).encode()
    ),
    "HTML": response(b"<html><h1>Please try again later", Content_Type="text/html"),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an empty body": response(b""),
}
IDS = range(100_000_001, 100_000_076)
BODY_OF = pages_of(IDS)

Position = Callable[[list[int]], bool]
POSITIONS: dict[str, Position] = {
    "first": lambda ids: IDS[0] in ids,
    "middle": lambda ids: IDS[len(IDS) // 2] in ids,
    "last with reports": lambda ids: IDS[-1] in ids,
    "empty": lambda ids: not ids,
}


@attrs.define
class Server:
    """Server that sends an invalid response in place of one page, a limited number of times."""

    invalid: bytes
    position: Position
    remaining: int
    played: int = 0

    async def __call__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        body = BODY_OF(request)
        ids = [item["sessionId"] for item in json.loads(body)["items"]]
        if self.remaining and self.position(ids):
            self.remaining -= 1
            self.played += 1
            writer.write(self.invalid)
        else:
            writer.write(response(body))
        await writer.drain()


def cases(*, full: bool) -> Iterator[tuple[bytes, Position, int | None]]:
    """Return every invalid response at every position with several limits."""
    limits = (None, 1, 7, 10, 25, 75, 76, 2000) if full else (None, 10, 75)
    return product(INVALID.values(), POSITIONS.values(), limits)


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Send each response to a walk forever, and to a job that resumes after errors for a while."""
    played = ends = other = lost = doubled = 0
    for (invalid, position, limit), read_ahead in product(cases(full=full), (0, 1)):
        server = Server(invalid, position, remaining=1_000_000)
        async with Wire(default=server) as wire, candidate.depot(with_token(wire.url)) as depot:
            try:
                async for _ in depot.walk(limit, read_ahead=read_ahead):
                    pass
                ends += 1
            except candidate.errors:
                pass
            except Exception:
                other += 1
        played += server.played
    for invalid, position, limit in cases(full=full):
        server = Server(invalid, position, remaining=3)
        async with Wire(default=server) as wire, candidate.depot(with_token(wire.url)) as depot:
            try:
                found = Counter(await depot.collect(limit, restarts=3))
            except Exception:
                found = Counter()
        lost += len(IDS) - len(found)
        doubled += found.total() - len(found)
        played += server.played
    return {
        "responses played": played,
        "accepted as the end": ends,
        "errors of another type": other,
        "lost by resuming": lost,
        "doubled by resuming": doubled,
    }


async def test_no_invalid_page_ends_a_walk(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R3", measured)
    assert measured["responses played"] > 0
    assert (measured["accepted as the end"], measured["errors of another type"]) == (0, 0)
    assert (measured["lost by resuming"], measured["doubled by resuming"]) == (0, 0)
