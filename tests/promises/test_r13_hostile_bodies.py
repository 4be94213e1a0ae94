"""R13: whatever a body or a head holds, a right value or a documented error comes out."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager

import attrs
import pytest

from depotclient.sandbox import ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions
from tests.promises.contestants import CHARGEBOX, OURS, Access, Contestant, Depot, Patience, Thor
from tests.support.faults import chunk, head, whole
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS
from tests.support.wire import Received, Wire, raw
from thorclient import ApiError, RetryPolicy, ThorClient

SHAPE = ReportShape(meter_values=2, charge_parameters=1, detail_states=1, device_states=1)
REPORTS = [render(plan, SHAPE) for plan in simulate_sessions(0, "CP-001", "1", 2)]
PAGE = b'{"items":[%s],"ChargerID":"CP-001","ConnectorID":"1"}' % b",".join(REPORTS)
EMPTY = b'{"items":[],"ChargerID":"CP-001","ConnectorID":"1"}'
CHARGEBOX_BODY = json.dumps(
    {
        "id": "TB-0001",
        "alias": "Gate é",
        "active": True,
        "connected": True,
        "last_heartbeat": 1_767_225_600_000,
        "coordinates": {"latitude": 52.5, "longitude": 13.4},
        "connectors": [{"power": 22000, "type": "IEC_62196_T2", "token": "pay-me-n0t"}],
        "occupied_connectors": [1],
        "reserved_connectors": [],
    }
).encode()

LONGEST = 1.0
"""Seconds that a hostile body may take."""

NOISE = 30.0
"""The same in the short form, where a busy machine must not fail a test."""

LONGEST_MESSAGE = 2**20
"""Characters of an error's repr; its body, which is cut to 64 KiB, may be part of a probe."""

HOSTILE_PIECES = (
    *(b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1e999", b"-1e999", b"NaN", b"Infinity"),
    *(b"9" * 400, b"0." + b"9" * 400, b'"\\ud800"', b'"\xff"', b"\xef\xbb\xbf", b"\x00", b'"'),
    *(b"[" * 2000, b'{"a":' * 2000, b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59+23:59"'),
)


def mutated(body: bytes, draw: random.Random) -> bytes:
    """A body with a few things done to it."""
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at = draw.randrange(len(body) + 1)
        to = min(len(body), at + draw.choice((1, 1, 2, 8, 60)))
        match draw.randrange(6):
            case 0:
                body = body[:at] + bytes([draw.randrange(256)]) + body[at + 1 :]
            case 1:
                body = body[:at] + body[to:]
            case 2:
                body = body[:to] + body[at:]
            case 3:
                body = body[:at] + draw.choice(HOSTILE_PIECES) + body[at:]
            case 4:
                body = body[:at] + draw.choice(HOSTILE_PIECES) + body[to:]
            case _:
                body = _with_another_value(body, draw)
    return body


def _with_another_value(body: bytes, draw: random.Random) -> bytes:
    """The value behind one of the colons is replaced, so that types meet the wrong fields."""
    colons = [place for place, byte in enumerate(body) if byte == ord(":")]
    if not colons:
        return body
    at = draw.choice(colons) + 1
    ends = [place for place in (body.find(b",", at), body.find(b"}", at)) if place > 0]
    return body[:at] + draw.choice(HOSTILE_PIECES) + body[min(ends, default=len(body)) :]


def mutated_head(body: bytes, draw: random.Random) -> bytes:
    """An answer whose head has been tampered with."""
    answer = head(Content_Length=len(body))
    return mutated(answer, draw)[:20_000] + body


@attrs.define
class Outcomes:
    """What came of the bodies so far."""

    bodies: int = 0
    right: int = 0
    typed: int = 0
    other: int = 0
    not_picklable: int = 0
    endless: int = 0
    seconds: float = 0.0
    longest_message: int = 0
    others: list[str] = attrs.field(factory=list)

    async def of(self, call: Awaitable[object], errors: tuple[type[Exception], ...]) -> None:
        """Note the outcome of one call, and look at its error as a log would."""
        started = time.perf_counter()
        self.bodies += 1
        try:
            async with asyncio.timeout(20) as scope:
                await call
            self.right += 1
        except errors as error:
            if scope.expired():
                self.endless += 1
            else:
                self.typed += 1
                self.longest_message = max(self.longest_message, len(repr(error) + str(error)))
                self._carry(error)
        except Exception as error:
            self.other += 1
            self.others.append(repr(error)[:200])
        self.seconds = max(self.seconds, time.perf_counter() - started)

    def _carry(self, error: Exception) -> None:
        """As to a parent process."""
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        except Exception:
            self.not_picklable += 1

    def figures(self) -> Figures:
        return {
            "bodies": self.bodies,
            "right": self.right,
            "typed errors": self.typed,
            "other errors": self.other,
            "errors that no pickle carries": self.not_picklable,
            "never ended": self.endless,
            "seconds at the longest": round(self.seconds, 3),
            "characters of the longest message": self.longest_message,
        }


class Answers:
    """Serves one answer in place of the first page of a walk, and of everything else."""

    def __init__(self) -> None:
        self.answer = b""
        self.closes = False

    async def play(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        later = "sessionReports" in request.target and "page=1&" not in request.target
        writer.write(whole(EMPTY) if later else self.answer)
        await writer.drain()
        if self.closes:
            writer.close()


async def walked(depot: Depot) -> list[int]:
    """All reports, structured."""
    return [session_id async for session_id in depot.walk(10, read_ahead=0)]


PATIENCE = Patience(attempts=1, total=15.0, read=0.5)


@attrs.frozen
class Lane:
    """One contestant's two clients and the server that lies to them."""

    answers: Answers
    depot: Depot
    thor: Thor
    errors: tuple[type[Exception], ...]
    outcomes: Outcomes

    @classmethod
    @asynccontextmanager
    async def open(cls, contestant: Contestant, outcomes: Outcomes) -> AsyncGenerator[Lane, None]:
        """A lane with a server of its own."""
        answers = Answers()
        async with Wire(default=answers.play) as wire:
            access = Access(base_url=wire.url, token="t0k3n-that-lasts")
            async with (
                contestant.depot(access, PATIENCE) as depot,
                contestant.thor(access, PATIENCE) as thor,
            ):
                yield cls(answers, depot, thor, contestant.errors, outcomes)

    async def play(self, answer: bytes, *, to_depot: bool, closes: bool = False) -> None:
        """Serve one answer to one call."""
        self.answers.answer, self.answers.closes = answer, closes
        call = walked(self.depot) if to_depot else self.thor.analytics(CHARGEBOX)
        await self.outcomes.of(call, self.errors)


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Serve mutated bodies and heads to walks and calls, and the hostile ones by name."""
    outcomes = Outcomes()
    lanes = 4

    async def mutations(seed: int) -> None:
        draw = random.Random(seed)
        async with Lane.open(contestant, outcomes) as lane:
            for number in range((100_000 if full else 3_000) // lanes):
                to_depot = number % 2 == 0
                body = PAGE if to_depot else ANALYTICS
                if number % 20 < 18:
                    await lane.play(whole(mutated(body, draw)), to_depot=to_depot)
                else:
                    answer = mutated_head(body, draw)
                    await lane.play(answer, to_depot=to_depot, closes=True)

    async with asyncio.TaskGroup() as group:
        for seed in range(lanes):
            group.create_task(mutations(seed))
    for body in hostile(full).values():
        for to_depot in (True, False):
            async with Lane.open(contestant, outcomes) as lane:
                await lane.play(body, to_depot=to_depot, closes=True)
    chunks = Outcomes()  # apart, since it is the sender who is slow
    async with Lane.open(contestant, chunks) as lane:
        await lane.play(tiny_chunks(10**6 if full else 10**5), to_depot=True, closes=True)
    return {**outcomes.figures(), "seconds for tiny chunks": round(chunks.seconds, 3)}


def tiny_chunks(count: int) -> bytes:
    """A page in so many chunks of one byte."""
    chunks = [chunk(PAGE[n : n + 1]) for n in range(len(PAGE))]
    chunks += [chunk(b" ")] * (count - len(chunks))
    return head(Transfer_Encoding="chunked") + b"".join(chunks) + b"0\r\n\r\n"


def page_with(value: bytes, key: bytes = b"x") -> bytes:
    """A page of one report that has this value somewhere."""
    return b'{"items":[{"sessionId":1,"%s":%s}]}' % (key, value)


def hostile(full: bool) -> dict[str, bytes]:
    """Answers that are made to hurt, by name."""
    many = 10**6 if full else 10**5
    digits = 10**5
    bodies = {
        "arrays without an end": b"[" * many,
        "arrays in arrays": b"[" * many + b"]" * many,
        "objects in objects": b'{"a":' * many + b"1" + b"}" * many,
        "arrays for reports": b'{"items":' + b"[" * many + b"]" * many + b"}",
        "arrays under an unknown key": page_with(b"[" * many + b"]" * many),
        "objects under an unknown key": page_with(b'{"a":' * many + b"1" + b"}" * many),
        "arrays under a known key": page_with(b"[" * many + b"]" * many, b"energySocEnd"),
        "a long whole number": page_with(b"9" * digits, b"energySocEnd"),
        "a long fraction": page_with(b"0." + b"9" * digits, b"energySocEnd"),
        "a long exponent": page_with(b"1e" + b"9" * digits, b"energySocEnd"),
        "a long number for an id": b'{"items":[{"sessionId":%s}]}' % (b"9" * digits),
        "a long number nobody asked for": page_with(b"9" * digits),
        "1e999": page_with(b"1e999", b"energySocEnd"),
        "no number": page_with(b"NaN", b"energySocEnd"),
        "infinity": page_with(b"-Infinity", b"energySocEnd"),
        "half a surrogate pair": page_with(b'"\\ud800"', b"vehicleId"),
        "half a surrogate pair in a key": page_with(b"1", b"\\udc00"),
        "a byte order mark": b"\xef\xbb\xbf" + PAGE,
        "UTF-16": PAGE.decode().encode("utf-16"),
        "UTF-32": PAGE.decode().encode("utf-32"),
        "Latin-1": page_with('"é"'.encode("latin-1"), b"vehicleId"),
        "zero bytes": page_with(b'"\x00"', b"vehicleId"),
        "an escaped zero": page_with(b'"\\u0000"', b"vehicleId"),
        "a key twice": page_with(b'"a","vehicleId":"b"', b"vehicleId"),
        "a million keys": b"{" + b",".join(b'"k%d":1' % n for n in range(many)) + b"}",
        "a million reports of nothing": b'{"items":[' + b",".join([b"0"] * many) + b"]}",
        "a long string": page_with(b'"%s"' % (b"v" * 10**6), b"vehicleId"),
        "a long wrong string": page_with(b'"%s"' % (b"v" * 10**6), b"energySocEnd"),
        "a long key": page_with(b"1", b"k" * 10**6),
        "white space": b" " * 10**6,
    }
    answers = {name: whole(body) for name, body in bodies.items()}
    return answers | {
        "a hostile charset": whole(PAGE, Content_Type="application/json; charset=" + "a" * 7000),
        "a charset that is a codec": whole(PAGE, Content_Type="application/json; charset=zlib"),
        "punycode": whole(b"-" * 10**5, Content_Type="application/json; charset=punycode"),
    }


async def test_whatever_a_body_holds_only_documented_errors_come_out(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R13", measured)
    assert measured["right"] > 0
    assert measured["other errors"] == 0
    assert measured["errors that no pickle carries"] == 0
    assert measured["never ended"] == 0
    assert measured["characters of the longest message"] < LONGEST_MESSAGE
    assert measured["seconds at the longest"] < (LONGEST if full else NOISE)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"[" * 10**6, id="arrays without an end"),
        pytest.param(b"[" * 10**6 + b"]" * 10**6, id="arrays in arrays"),
        pytest.param(b"9" * 10**5, id="a long number"),
        pytest.param(b'["\\ud800"]', id="half a surrogate pair"),
        pytest.param(b"[1e999]", id="1e999"),
        pytest.param(b"[NaN]", id="no number"),
    ],
)
async def test_a_field_that_takes_any_json_takes_no_more_than_json(value: bytes) -> None:
    body = b'{"id":"TB-0001","occupied_connectors":%s}' % value
    async with Wire(default=raw(whole(body))) as wire:
        async with ThorClient(
            api_key="k3y", base_url=wire.url, retry=RetryPolicy(attempts=1)
        ) as thor:
            with pytest.raises(ApiError) as caught:
                await thor.get_chargebox(CHARGEBOX)
    assert len(str(caught.value)) < 1000


async def test_a_mutated_chargebox_is_one_or_a_documented_error(full: bool) -> None:
    draw = random.Random(0)
    outcomes = Outcomes()
    answers = Answers()
    async with Wire(default=answers.play) as wire:
        async with ThorClient(
            api_key="k3y", base_url=wire.url, retry=RetryPolicy(attempts=1)
        ) as thor:
            for _ in range(10_000 if full else 500):
                answers.answer = whole(mutated(CHARGEBOX_BODY, draw))
                await outcomes.of(thor.get_chargebox("TB-0001"), (ApiError,))
    assert outcomes.others == []
    assert outcomes.endless == 0
