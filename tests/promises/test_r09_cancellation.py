"""R9: whoever is cancelled, wherever, leaves nothing behind, and the next call works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import aiohttp
import attrs
import pytest

from depotclient import DepotClient
from tests.promises.contestants import CHARGEBOX, OURS, Access, Contestant, Depot, Patience
from tests.support.faults import head
from tests.support.figures import Figures, Record
from tests.support.pages import ANALYTICS, pages_of
from tests.support.wire import Received, Script, Wire
from thorclient import ThorClient

Job = Callable[[], Coroutine[Any, Any, None]]

HONEST = pages_of(range(1, 31))
TOKEN = b'{"access_token": "t0k3n-that-was-fetched", "expires_in": 3600}'
TURNS = 40
"""Up to so many turns of the event loop go by before the cancellation."""


def slowly(script_of: Callable[[Received], bytes]) -> Script:
    """Answer in pieces, some turns of the loop apart, so that there is something to cut into."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        body = script_of(request)
        for piece in (head(Content_Length=len(body)), body[: len(body) // 2]):
            writer.write(piece)
            await writer.drain()
            for _ in range(4):
                await asyncio.sleep(0)
        writer.write(body[len(body) // 2 :])
        await writer.drain()

    return play


def answer_to(request: Received) -> bytes:
    """The right answer to whatever it is."""
    if request.method == "POST":
        return TOKEN
    return HONEST(request) if "sessionReports" in request.target else ANALYTICS


@attrs.define
class Outcomes:
    """What came of the cancellations so far."""

    cancels: int = 0
    in_time: int = 0
    swallowed: int = 0
    leaked_tasks: int = 0
    failed_next_calls: int = 0

    async def of(self, job: Job, turns: int, errors: tuple[type[Exception], ...]) -> None:
        """Cancel a job after so many turns, and see that it ends by that."""
        before = asyncio.all_tasks()
        self.cancels += 1
        task = asyncio.create_task(job())
        for _ in range(turns):
            await asyncio.sleep(0)
        in_time = task.cancel()
        self.in_time += in_time
        with contextlib.suppress(asyncio.CancelledError, *errors):
            await task
        self.swallowed += in_time and not task.cancelled()
        for _ in range(3):
            await asyncio.sleep(0)
        left = {
            other
            for other in asyncio.all_tasks() - before - {task}
            if "Wire." not in getattr(other.get_coro(), "__qualname__", "")
        }
        self.leaked_tasks += len(left)


async def read_some(depot: Depot, read_ahead: int, count: int) -> None:
    """Take some reports of a walk and leave it, as `break` does."""
    async with contextlib.aclosing(depot.walk(10, read_ahead=read_ahead)) as walk:
        taken = 0
        async for _ in walk:
            taken += 1
            if taken == count:
                break


async def measure(contestant: Contestant, *, full: bool) -> Figures:
    """Cancel calls, walks and token requests at random points."""
    outcomes = Outcomes()
    draw = random.Random(0)
    async with Wire(default=slowly(answer_to)) as wire:
        descriptors = await descriptors_open()
        access = Access(base_url=wire.url, token="t0k3n-that-lasts")
        fetching = Access(base_url=wire.url, token_url=wire.url)
        patience = Patience(total=10.0)
        async with (
            contestant.depot(access, patience) as depot,
            contestant.thor(access, patience) as thor,
        ):

            async def call() -> None:
                await thor.analytics(CHARGEBOX)

            async def first_call_with_a_token() -> None:
                async with contestant.depot(fetching, patience) as fresh:
                    await read_some(fresh, 0, 1)

            jobs: list[Job] = [
                call,
                lambda: read_some(depot, 0, 30),
                lambda: read_some(depot, 3, 30),
                lambda: read_some(depot, 3, draw.randrange(1, 12)),
                first_call_with_a_token,
            ]
            for number in range(2_000 if full else 300):
                job = draw.choice(jobs)
                await outcomes.of(job, draw.randrange(TURNS), contestant.errors)
                if number % 20 == 0:
                    try:
                        async with asyncio.timeout(5):
                            await call()
                            await read_some(depot, 1, 30)
                    except Exception:
                        outcomes.failed_next_calls += 1
            await call()  # so that there is a connection to close
        for _ in range(100):
            await asyncio.sleep(0)
        leaked = wire.open_connections
        grown = await descriptors_open() - descriptors
    return {
        "cancels": outcomes.cancels,
        "came in time": outcomes.in_time,
        "swallowed": outcomes.swallowed,
        "leaked connections": leaked,
        "leaked descriptors": grown,
        "leaked tasks": outcomes.leaked_tasks,
        "next calls that failed": outcomes.failed_next_calls,
    }


async def descriptors_open() -> int:
    """How many files and sockets the process has."""
    for _ in range(10):
        await asyncio.sleep(0)  # for sockets that are closing
    return len(await asyncio.to_thread(os.listdir, "/proc/self/fd"))


LEFT_BEHIND = (
    *("swallowed", "leaked connections", "leaked descriptors", "leaked tasks"),
    "next calls that failed",
)


async def test_a_cancellation_comes_out_and_leaves_nothing_behind(
    full: bool, record: Record
) -> None:
    measured = await measure(OURS, full=full)
    record("R9", measured)
    assert measured["came in time"] > measured["cancels"] / 3
    for name in LEFT_BEHIND:
        assert measured[name] == 0, name


@contextlib.asynccontextmanager
async def narrow_session() -> AsyncGenerator[aiohttp.ClientSession, None]:
    """A session of a user's own with two connections at the most."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:
        yield session


async def test_no_cancellation_takes_a_connection_from_a_narrow_pool() -> None:
    outcomes = Outcomes()
    async with Wire(default=slowly(answer_to)) as wire, narrow_session() as session:
        depot = DepotClient(token="t0k3n", base_url=wire.url, session=session)
        thor = ThorClient(api_key="k3y", base_url=wire.url, session=session)
        reports = depot.session_reports("CP-001", "1", limit=10, read_ahead=3)

        async def pages() -> None:
            found: list[int] = []
            async with contextlib.aclosing(reports.pages()) as walk:
                async for page in walk:
                    found += [report.session_id for report in page.reports]
                    assert found == list(range(1, len(found) + 1))
            assert len(found) == 30

        async def many() -> None:
            ids = [f"TB-{n}" for n in range(20)]
            async with contextlib.aclosing(thor.get_analytics_many(ids, 5)) as results:
                async for _ in results:
                    pass

        for turns in range(TURNS):
            await outcomes.of(pages, turns, ())
            await outcomes.of(many, turns, ())
            assert len(await reports.collect(max_items=100)) == 30
    assert (outcomes.swallowed, outcomes.leaked_tasks) == (0, 0)


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_client_that_is_closed_under_its_calls_ends_them_with_an_error(turns: int) -> None:
    async with Wire(default=slowly(answer_to)) as wire:
        depot = DepotClient(token="t0k3n", base_url=wire.url)

        async def walk() -> None:
            async for _ in depot.session_reports("CP-001", "1", limit=10, read_ahead=2):
                pass

        tasks = [asyncio.create_task(walk()) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await depot.aclose()
        async with asyncio.timeout(5):
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        # None where the walk had come to its end before.
        assert {repr(error) for error in ended} <= {"RuntimeError('the client was closed')", "None"}
