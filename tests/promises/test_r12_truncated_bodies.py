"""R12: a body that was cut at any point is the whole body or an error, whatever its framing."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator

import attrs

from tests.promises.contestants import CHARGEBOX, OURS, Access, Contestant, Depot, Patience
from tests.support.faults import chunk, head, whole
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS, page_of
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


@attrs.frozen
class Framing:
    """How an answer says where its body ends, and whether it is packed."""

    name: str
    frame: Callable[[bytes, str], bytes]
    encoding: str

    def answer(self, body: bytes, cut: int) -> bytes:
        """The answer whose body, as it goes over the wire, ends there."""
        return self.frame(self.packed(body)[:cut], self.encoding)

    def packed(self, body: bytes) -> bytes:
        """The body as it goes over the wire."""
        return gzip.compress(body, mtime=0) if self.encoding == "gzip" else body


def with_length(data: bytes, encoding: str) -> bytes:
    return whole(data, Connection="close", Content_Encoding=encoding)


def without_length(data: bytes, encoding: str) -> bytes:
    return head(Connection="close", Content_Encoding=encoding) + data


def chunked_to_its_end(data: bytes, encoding: str) -> bytes:
    return chunked_and_cut(data, encoding) + b"0\r\n\r\n"


def chunked_and_cut(data: bytes, encoding: str) -> bytes:
    start = head(Connection="close", Transfer_Encoding="chunked", Content_Encoding=encoding)
    return start + (chunk(data) if data else b"")


FRAMINGS = [
    Framing(frame.__name__, frame, encoding)
    for frame in (with_length, without_length, chunked_to_its_end, chunked_and_cut)
    for encoding in ("identity", "gzip")
]


@attrs.define
class Outcomes:
    """What came of the answers so far."""

    answers: int = 0
    whole: int = 0
    errors: int = 0
    cut: int = 0
    other: int = 0

    async def of(
        self, call: Awaitable[object], truth: object, errors: tuple[type[Exception], ...]
    ) -> None:
        """Note the outcome of one call."""
        self.answers += 1
        try:
            async with asyncio.timeout(10):
                got = await call
        except errors:
            self.errors += 1
        except Exception:
            self.other += 1
        else:
            self.whole += got == truth
            self.cut += got != truth

    def figures(self) -> Figures:
        return {
            "answers": self.answers,
            "whole": self.whole,
            "errors": self.errors,
            "cut and taken for whole": self.cut,
            "errors of another type": self.other,
        }


def cuts(length: int, *, full: bool) -> Iterator[int]:
    """Where to cut: everywhere, or here and there and everywhere near the end."""
    for cut in range(length + 1):
        if full or cut % 5 == 0 or cut > length - 20:
            yield cut


async def ids_of(depot: Depot) -> list[int]:
    """All that a walk brings."""
    return [session_id async for session_id in depot.walk(len(IDS), read_ahead=0)]


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Cut a page and an answer with analytics at each point, under each framing."""
    outcomes = Outcomes()
    answer = b""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        later = "sessionReports" in request.target and "page=1&" not in request.target
        writer.write(whole(page_of([]), Connection="close") if later else answer)
        await writer.drain()
        writer.close()

    patience = Patience(attempts=1, total=5.0, read=1.0)
    async with Wire(default=play) as wire:
        access = Access(base_url=wire.url, token="t0k3n-that-lasts")
        async with (
            contestant.depot(access, patience) as depot,
            contestant.thor(access, patience) as thor,
        ):
            answer = whole(ANALYTICS, Connection="close")
            analytics = await thor.analytics(CHARGEBOX)
            for framing in FRAMINGS:
                for cut in cuts(len(framing.packed(PAGE)), full=full):
                    answer = framing.answer(PAGE, cut)
                    await outcomes.of(ids_of(depot), IDS, contestant.errors)
                for cut in cuts(len(framing.packed(ANALYTICS)), full=full):
                    answer = framing.answer(ANALYTICS, cut)
                    await outcomes.of(thor.analytics(CHARGEBOX), analytics, contestant.errors)
    return outcomes.figures()


async def test_a_body_that_was_cut_is_whole_or_an_error(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R12", measured)
    assert measured["cut and taken for whole"] == 0
    assert measured["errors of another type"] == 0
    # Uncut it comes through under each of six framings, for both clients; of a packed one also
    # what lacks no more than gzip's own end.
    assert measured["whole"] >= 2 * 6
