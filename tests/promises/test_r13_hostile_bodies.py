"""R13: any body or head gives a correct value or a documented error."""

from __future__ import annotations

import asyncio
import pickle
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Protocol

from depotclient.sandbox import ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions
from tests.promises.candidates import (
    CHARGEBOX,
    OURS,
    Candidate,
    DidNotEndError,
    Limits,
    result_of,
    with_token,
)
from tests.support.figures import Figures, Record, tally
from tests.support.pages import ANALYTICS
from tests.support.responses import chunk, head, response
from tests.support.wire import Received, Wire

SHAPE = ReportShape(meter_values=2, charge_parameters=1, detail_states=1, device_states=1)
REPORTS = [render(plan, SHAPE) for plan in simulate_sessions(0, "CP-001", "1", 2)]
PAGE = b'{"items":[%s],"ChargerID":"CP-001","ConnectorID":"1"}' % b",".join(REPORTS)
LAST_PAGE = b'{"items":[],"ChargerID":"CP-001","ConnectorID":"1"}'
MAX_SECONDS = 1.0
"""Longest time for a hostile body. Only a full run measures it."""

MAX_MESSAGE = 2**20
"""Most characters of an error's repr, which may quote a body of 64 KiB."""

HOSTILE_PIECES = (
    *(b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1e999", b"-1e999", b"NaN", b"Infinity"),
    *(b"9" * 400, b"0." + b"9" * 400, b'"\\ud800"', b'"\xff"', b"\xef\xbb\xbf", b"\x00", b'"'),
    *(b"[" * 2000, b'{"a":' * 2000, b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59+23:59"'),
)


def mutate(body: bytes, draw: random.Random) -> bytes:
    """Return the body after one to five random changes."""
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        start = draw.randrange(len(body) + 1)
        end = min(len(body), start + draw.choice((1, 1, 2, 8, 60)))
        piece = draw.choice(HOSTILE_PIECES)
        match draw.randrange(6):
            case 0:
                body = body[:start] + bytes([draw.randrange(256)]) + body[start + 1 :]
            case 1:
                body = body[:start] + body[end:]
            case 2:
                body = body[:end] + body[start:]
            case 3:
                body = body[:start] + piece + body[start:]
            case 4:
                body = body[:start] + piece + body[end:]
            case _:
                body = replace_value(body, piece, draw)
    return body


def replace_value(body: bytes, piece: bytes, draw: random.Random) -> bytes:
    """Replace the value after a random colon, so that a field gets a value of a different type."""
    colons = [position for position, byte in enumerate(body) if byte == ord(":")]
    if not colons:
        return body
    start = draw.choice(colons) + 1
    ends = [end for end in (body.find(b",", start), body.find(b"}", start)) if end > 0]
    return body[:start] + piece + body[min(ends, default=len(body)) :]


class Outcomes:
    """Results of calls by one candidate."""

    def __init__(self, errors: tuple[type[Exception], ...]) -> None:
        self.errors = errors
        self.seconds = 0.0
        self.figures = tally(
            *("bodies", "correct", "typed errors", "other errors", "unpicklable errors"),
            *("did not end", "characters of the longest message"),
        )

    async def add(self, call: Awaitable[object]) -> None:
        """Add the result of one call."""
        started = time.perf_counter()
        result = await result_of(call, 20)
        self.seconds = max(self.seconds, time.perf_counter() - started)
        self.figures["bodies"] += 1
        if not isinstance(result, Exception):
            self.figures["correct"] += 1
        elif isinstance(result, DidNotEndError):
            self.figures["did not end"] += 1
        elif isinstance(result, self.errors):
            self.figures["typed errors"] += 1
            self._add_error(result)
        else:
            self.figures["other errors"] += 1

    def _add_error(self, error: Exception) -> None:
        name = "characters of the longest message"
        self.figures[name] = max(self.figures[name], len(repr(error) + str(error)))
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
        except Exception:
            self.figures["unpicklable errors"] += 1


class Play(Protocol):
    """Function that sends a response to one call."""

    async def __call__(self, body: bytes, *, to_depot: bool, close: bool = ...) -> None: ...


@asynccontextmanager
async def open_lane(candidate: Candidate, outcomes: Outcomes) -> AsyncGenerator[Play, None]:
    """Open both clients, and a server that sends them one response after another."""
    current, closes = b"", False

    async def respond(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        later = "sessionReports" in request.target and "page=1&" not in request.target
        writer.write(response(LAST_PAGE) if later else current)
        await writer.drain()
        if closes:
            writer.close()

    limits = Limits(attempts=1, total=15.0, read=0.5)
    async with Wire(default=respond) as wire:
        access = with_token(wire.url)
        async with candidate.depot(access, limits) as depot, candidate.thor(access, limits) as thor:

            async def walk() -> list[int]:
                return [session_id async for session_id in depot.walk(10, read_ahead=0)]

            async def play(body: bytes, *, to_depot: bool, close: bool = False) -> None:
                nonlocal current, closes
                current, closes = body, close
                await outcomes.add(walk() if to_depot else thor.get_analytics(CHARGEBOX))

            yield play


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Send mutated bodies and heads, and the hostile responses."""
    outcomes = Outcomes(candidate.errors)
    lanes = 4

    async def send_mutations(seed: int) -> None:
        draw = random.Random(seed)
        async with open_lane(candidate, outcomes) as play:
            for number in range((100_000 if full else 1_000) // lanes):
                to_depot = number % 2 == 0
                body = PAGE if to_depot else ANALYTICS
                if number % 20 < 18:
                    await play(response(mutate(body, draw)), to_depot=to_depot)
                else:
                    mutated_head = mutate(head(Content_Length=len(body)), draw)[:20_000]
                    await play(mutated_head + body, to_depot=to_depot, close=True)

    async with asyncio.TaskGroup() as group:
        for seed in range(lanes):
            group.create_task(send_mutations(seed))
    for body, to_depot in product(hostile_responses(10**6 if full else 10**4), (True, False)):
        async with open_lane(candidate, outcomes) as play:
            await play(body, to_depot=to_depot, close=True)
    # Measured separately: sending the chunks is slow, and that is not the client's time.
    chunks = Outcomes(candidate.errors)
    async with open_lane(candidate, chunks) as play:
        await play(tiny_chunks(10**6 if full else 10**4), to_depot=True, close=True)
    return {
        **outcomes.figures,
        "maximum seconds": round(outcomes.seconds, 3),
        "seconds for tiny chunks": round(chunks.seconds, 3),
    }


def tiny_chunks(count: int) -> bytes:
    """Return a page in chunks of one byte."""
    chunks = [chunk(PAGE[n : n + 1]) for n in range(len(PAGE))]
    chunks += [chunk(b" ")] * (count - len(chunks))
    return head(Transfer_Encoding="chunked") + b"".join(chunks) + b"0\r\n\r\n"


def hostile_values(size: int) -> Iterator[bytes]:
    """Yield JSON values, and some that are not JSON, that a careless parser can't handle."""
    yield from (b"[" * size, b"[" * size + b"]" * size)
    yield b'{"a":' * size + b"1" + b"}" * size
    yield from (b"9" * 10**5, b"0." + b"9" * 10**5, b"1e" + b"9" * 10**5, b"1e999")
    yield from (b"NaN", b"-Infinity", b'["\\ud800"]', b'"\\ud800"', b'"\x00"', b'"\\u0000"')
    yield from ('"é"'.encode("latin-1"), b'"%s"' % (b"v" * size))
    yield b"{" + b",".join(b'"k%d":1' % n for n in range(size)) + b"}"
    yield b"[" + b",".join([b"0"] * size) + b"]"


def hostile_responses(size: int) -> Iterator[bytes]:
    """Yield responses with hostile values everywhere, and in hostile encodings."""
    for value in hostile_values(size):
        yield response(value)
        yield response(b'{"items":%s}' % value)
        for key in (b"x", b"sessionId", b"energySocEnd", b"vehicleId"):
            yield response(b'{"items":[{"%s":%s}]}' % (key, value))
    for key in (b"\\udc00", b"k" * size, b'vehicleId":"a","vehicleId'):
        yield response(b'{"items":[{"sessionId":1,"%s":1}]}' % key)
    yield response(b" " * size)
    yield response(b"\xef\xbb\xbf" + PAGE)
    for encoding in ("utf-16", "utf-32"):
        yield response(PAGE.decode().encode(encoding))
    for charset in ("a" * 7000, "zlib", "punycode"):
        yield response(PAGE, Content_Type=f"application/json; charset={charset}")
    yield response(b"-" * 10**5, Content_Type="application/json; charset=punycode")


async def test_any_body_gives_a_value_or_a_documented_error(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R13", measured)
    for name in ("other errors", "unpicklable errors", "did not end"):
        assert measured[name] == 0, name
    assert measured["correct"] > 0
    assert measured["characters of the longest message"] < MAX_MESSAGE
    assert not full or measured["maximum seconds"] < MAX_SECONDS
