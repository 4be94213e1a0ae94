"""R3: a response that is not a page of reports is an error and never ends a walk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from itertools import product

from tests.promises.candidates import OURS, Candidate, result_of, with_token
from tests.support.figures import Figures, Record, nonzero, tally
from tests.support.pages import pages_of
from tests.support.responses import respond, response
from tests.support.wire import Received, Script, Wire

INVALID = {
    "an object without the key": response(b"{}"),
    "null": response(b"null"),
    "a bare list": response(b"[]"),
    "null for the list": response(b'{"items": null, "ChargerID": "CP-001", "ConnectorID": "1"}'),
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


def send_invalid(invalid: bytes, position: Position, times: int, figures: Counter[str]) -> Script:
    """Send an invalid response in place of one page, a limited number of times."""
    remaining = times

    def response_to(request: Received) -> bytes:
        nonlocal remaining
        body = BODY_OF(request)
        if remaining and position([item["sessionId"] for item in json.loads(body)["items"]]):
            remaining -= 1
            figures["responses played"] += 1
            return invalid
        return response(body)

    return respond(response_to)


async def read(walk: AsyncGenerator[int, None]) -> list[int]:
    return [session_id async for session_id in walk]


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Send each response to a walk forever, and to a job that resumes after errors for a while."""
    figures = tally(
        *("responses played", "accepted as the end", "errors of another type"),
        *("lost by resuming", "duplicated by resuming"),
    )
    limits = (None, 1, 7, 10, 25, 75, 76, 2000) if full else (None, 10, 75)
    for invalid, position, limit in product(INVALID.values(), POSITIONS.values(), limits):
        for read_ahead in (0, 1):
            script = send_invalid(invalid, position, 1_000_000, figures)
            async with Wire(default=script) as wire, candidate.depot(with_token(wire.url)) as depot:
                result = await result_of(read(depot.walk(limit, read_ahead=read_ahead)))
            figures["accepted as the end"] += isinstance(result, list)
            figures["errors of another type"] += not isinstance(result, (*candidate.errors, list))
        script = send_invalid(invalid, position, 3, figures)
        async with Wire(default=script) as wire, candidate.depot(with_token(wire.url)) as depot:
            result = await result_of(depot.collect(limit, restarts=3))
        found = result if isinstance(result, list) else []
        figures["lost by resuming"] += len(IDS) - len(set(found))
        figures["duplicated by resuming"] += len(found) - len(set(found))
    return figures


async def test_no_invalid_page_ends_a_walk(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R3", measured)
    assert nonzero(measured) == {"responses played"}
