"""R3: an answer that is no page of reports is an error, and never the end of a walk."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import product

import attrs
import pytest

from depotclient import ApiError, DepotClient
from tests.promises.contestants import CHARGER, CONNECTOR, OURS, Access, Contestant
from tests.support.faults import whole
from tests.support.figures import Figures, Record
from tests.support.pages import pages_of
from tests.support.wire import Received, Wire

NO_PAGE = {
    "an object without the key": whole(b"{}"),
    "null": whole(b"null"),
    "a bare list": whole(b"[]"),
    "null for the list": whole(
        json.dumps({"items": None, "ChargerID": CHARGER, "ConnectorID": CONNECTOR}).encode()
    ),
    "HTML": whole(b"<html><h1>Please come back later", Content_Type="text/html"),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an empty body": whole(b""),
}
IDS = range(100_000_001, 100_000_076)
HONEST = pages_of(IDS)

Place = Callable[[list[int]], bool]
PLACES: dict[str, Place] = {
    "first": lambda ids: IDS[0] in ids,
    "middle": lambda ids: IDS[len(IDS) // 2] in ids,
    "last with reports": lambda ids: IDS[-1] in ids,
    "empty": lambda ids: not ids,
}


@attrs.define
class Server:
    """Serves the reports, but in one place what is no page."""

    answer: bytes
    place: Place
    left: int
    played: int = 0

    async def __call__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        body = HONEST(request)
        if self.left and self.place([item["sessionId"] for item in json.loads(body)["items"]]):
            self.left -= 1
            self.played += 1
            writer.write(self.answer)
        else:
            writer.write(whole(body))
        await writer.drain()


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[Access, None]:
    async with Wire(default=server) as wire:
        yield Access(base_url=wire.url, token="t0k3n-that-lasts")


def cases(*, full: bool) -> Iterator[tuple[bytes, Place, int | None]]:
    """Every answer in every place, with limits that adapt and that are given."""
    limits = (None, 1, 7, 10, 25, 75, 76, 2000) if full else (None, 1, 10, 75)
    return product(NO_PAGE.values(), PLACES.values(), limits)


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Play each answer to a walk for ever, and to a job that goes on after errors for a while."""
    played = ends = other = lost = doubled = 0
    for (answer, place, limit), read_ahead in product(cases(full=full), (0, 1)):
        server = Server(answer, place, left=1_000_000)
        async with serving(server) as access, contestant.depot(access) as depot:
            try:
                async for _ in depot.walk(limit, read_ahead=read_ahead):
                    pass
                ends += 1
            except contestant.errors:
                pass
            except Exception:
                other += 1
        played += server.played
    for answer, place, limit in cases(full=full):
        server = Server(answer, place, left=3)
        async with serving(server) as access, contestant.depot(access) as depot:
            try:
                found = Counter(await depot.collect(limit, restarts=3))
            except Exception:
                found = Counter()
        lost += len(IDS) - len(found)
        doubled += found.total() - len(found)
        played += server.played
    return {
        "answers played": played,
        "taken for an end": ends,
        "errors of another type": other,
        "lost by going on": lost,
        "doubled by going on": doubled,
    }


async def test_no_answer_without_a_list_of_reports_is_taken_for_an_end(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R3", measured)
    assert measured["answers played"] > 0
    assert (measured["taken for an end"], measured["errors of another type"]) == (0, 0)
    assert (measured["lost by going on"], measured["doubled by going on"]) == (0, 0)


@pytest.mark.parametrize("read_ahead", [0, 1, 4])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("answer", NO_PAGE)
async def test_the_errors_cursor_continues_exactly(
    answer: str, place: str, read_ahead: int
) -> None:
    for limit in (None, 1, 10, 75):
        server = Server(NO_PAGE[answer], PLACES[place], left=1_000_000)
        async with (
            serving(server) as access,
            DepotClient(token=access.token, base_url=access.base_url) as depot,
        ):
            reports = depot.session_reports(CHARGER, CONNECTOR, limit=limit, read_ahead=read_ahead)
            found: list[int] = []
            with pytest.raises(ApiError) as caught:
                async for report in reports:
                    found.append(report.session_id)
            server.left = 0
            rest = depot.session_reports(
                CHARGER, CONNECTOR, limit=limit, resume=str(caught.value.cursor)
            )
            found += [report.session_id async for report in rest]
        assert found == list(IDS)
