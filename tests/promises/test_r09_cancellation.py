"""R9: a cancelled call leaves no connection, descriptor or task, and the next call works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from depotclient import DepotClient
from depotclient.sandbox import DepotSandbox, ReportShape
from evtransport.testing.sandbox import running_in_thread
from tests.promises.candidates import (
    CHARGEBOX,
    OURS,
    Access,
    Candidate,
    Depot,
    Limits,
    result_of,
    with_token,
)
from tests.support.exports import export_first, rows_in
from tests.support.figures import Figures, Record, nonzero, tally
from tests.support.pages import ANALYTICS, pages_of
from tests.support.responses import head
from tests.support.waiting import iterate_loop
from tests.support.wire import Received, Wire
from thorclient import ThorClient
from thorclient.sandbox import ThorSandbox

Errors = tuple[type[Exception], ...]
Job = Callable[[], Coroutine[Any, Any, None]]

PAGES = pages_of(range(1, 31))
TOKEN = b'{"access_token": "t0k3n-that-was-fetched", "expires_in": 3600}'
MAX_ITERATIONS = 40
"""Maximum number of event loop iterations before a cancellation."""


async def respond_slowly(
    request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Send the correct response in pieces, with loop iterations between them."""
    if request.method == "POST":
        body = TOKEN
    else:
        body = PAGES(request) if "sessionReports" in request.target else ANALYTICS
    for piece in (head(Content_Length=len(body)), body[: len(body) // 2]):
        writer.write(piece)
        await writer.drain()
        await iterate_loop(4)
    writer.write(body[len(body) // 2 :])
    await writer.drain()


async def cancel(
    job: Job, after_iterations: int, figures: Counter[str], errors: Errors = ()
) -> None:
    """Cancel a job after this many iterations of the event loop."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(job())
    await iterate_loop(after_iterations)
    in_time = task.cancel()
    with contextlib.suppress(asyncio.CancelledError, *errors):
        await task
    figures["cancels"] += 1
    figures["before the end"] += in_time
    figures["swallowed"] += in_time and not task.cancelled()
    await iterate_loop(3)
    figures["leaked tasks"] += sum(
        "Wire." not in getattr(other.get_coro(), "__qualname__", "")
        for other in asyncio.all_tasks() - before - {task}
    )


async def read_some(depot: Depot, read_ahead: int, count: int) -> None:
    """Read reports of a walk and leave it, as `break` does."""
    async with contextlib.aclosing(depot.walk(10, read_ahead=read_ahead)) as walk:
        read = 0
        async for _ in walk:
            read += 1
            if read == count:
                break


async def count_descriptors() -> int:
    """Return the number of open files and sockets of the process."""
    await iterate_loop(10)  # Sockets may be closing.
    return len(await asyncio.to_thread(os.listdir, "/proc/self/fd"))


async def measure(candidate: Candidate, *, full: bool) -> Figures:
    """Cancel calls, walks and token requests at random points."""
    figures = tally(
        *("cancels", "before the end", "swallowed", "leaked connections", "leaked descriptors"),
        *("leaked tasks", "next calls that failed"),
    )
    draw = random.Random(0)
    limits = Limits(total=10.0)
    async with Wire(default=respond_slowly) as wire:
        descriptors = await count_descriptors()
        access, by_pair = with_token(wire.url), Access(base_url=wire.url, token_url=wire.url)
        async with candidate.depot(access, limits) as depot, candidate.thor(access, limits) as thor:

            async def call() -> None:
                await thor.get_analytics(CHARGEBOX)

            async def first_call_with_a_token() -> None:
                async with candidate.depot(by_pair, limits) as new:
                    await read_some(new, 0, 1)

            async def call_both() -> None:
                await call()
                await read_some(depot, 1, 30)

            jobs: list[Job] = [
                call,
                lambda: read_some(depot, 0, 30),
                lambda: read_some(depot, 3, 30),
                lambda: read_some(depot, 3, draw.randrange(1, 12)),
                first_call_with_a_token,
            ]
            for number in range(2_000 if full else 300):
                await cancel(
                    draw.choice(jobs), draw.randrange(MAX_ITERATIONS), figures, candidate.errors
                )
                if number % 20 == 0:
                    error = await result_of(call_both(), 5)
                    figures["next calls that failed"] += error is not None
            await call()  # Opens a connection for the client to close.
        await iterate_loop(100)
        figures["leaked connections"] = wire.open_connections
        figures["leaked descriptors"] = await count_descriptors() - descriptors
    return figures


async def test_a_cancelled_call_leaves_nothing(full: bool, record: Record) -> None:
    measured = await measure(OURS, full=full)
    record("R9", measured)
    assert nonzero(measured) == {"cancels", "before the end"}
    assert measured["before the end"] > measured["cancels"] / 3


async def test_a_cancelled_call_returns_its_connection_to_a_small_pool(full: bool) -> None:
    figures = tally()
    async with (
        Wire(default=respond_slowly) as wire,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session,
    ):
        depot = DepotClient(token="t0k3n", base_url=wire.url, session=session)
        thor = ThorClient(api_key="k3y", base_url=wire.url, session=session)
        reports = depot.session_reports("CP-001", "1", limit=10, read_ahead=3)

        async def read_pages() -> None:
            async with contextlib.aclosing(reports.pages()) as pages:
                assert [len(page.reports) async for page in pages] == [10, 10, 10]

        async def call_many() -> None:
            ids = [f"TB-{n}" for n in range(20)]
            async with contextlib.aclosing(thor.get_analytics_many(ids, 5)) as results:
                assert len([result async for result in results]) == 20

        for after_iterations in range(0, MAX_ITERATIONS, 1 if full else 3):
            await cancel(read_pages, after_iterations, figures)
            await cancel(call_many, after_iterations, figures)
            assert len(await reports.collect(max_items=100)) == 30
    assert nonzero(figures) == {"cancels", "before the end"}


async def expire(job: Job, after_iterations: int, figures: Counter[str]) -> bool:
    """Return True if an `asyncio.timeout` around a job expires after this many iterations."""
    before = asyncio.all_tasks()
    loop = asyncio.get_running_loop()

    async def expire() -> None:
        await iterate_loop(after_iterations)
        limit.reschedule(loop.time())

    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(contextlib.suppress(TimeoutError))
        limit = await stack.enter_async_context(asyncio.timeout(None))
        expiry = asyncio.create_task(expire())
        try:
            await job()
        finally:
            expiry.cancel()
    await iterate_loop(3)
    figures["timeouts"] += limit.expired()
    figures["leaked tasks"] += len(asyncio.all_tasks() - before)
    return limit.expired()


@pytest.fixture
def servers() -> Iterator[tuple[DepotSandbox, ThorSandbox]]:
    """Sandboxes whose tasks are not in the event loop of the test."""
    with (
        running_in_thread(DepotSandbox(shape=ReportShape.small())) as depot,
        running_in_thread(ThorSandbox()) as thor,
    ):
        yield depot, thor


async def test_a_time_limit_leaves_nothing_of_a_batch_a_walk_or_an_export(
    servers: tuple[DepotSandbox, ThorSandbox], tmp_path: Path, full: bool
) -> None:
    figures, (depot_server, thor_server) = tally(), servers
    descriptors = await count_descriptors()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:
        depot = DepotClient(
            token=depot_server.token, base_url=depot_server.base_url, session=session
        )
        thor = ThorClient(
            api_key=thor_server.api_key, base_url=thor_server.base_url, session=session
        )
        await export_first(depot, tmp_path / "whole", window="day", format="ndjson")
        whole = await asyncio.to_thread(rows_in, tmp_path / "whole")

        async def read_fleet() -> None:
            async with contextlib.aclosing(
                thor.get_analytics_many(thor_server.chargebox_ids, 5)
            ) as results:
                assert len([result async for result in results]) == 20

        async def walk() -> None:
            async with depot.session_reports("CP-001", 1, limit=10, read_ahead=3).walk() as found:
                assert [report.session_id async for report in found]

        async def export() -> None:
            await export_first(depot, tmp_path / "timed-out", window="day", format="ndjson")

        for job in (read_fleet, walk, export):
            after_iterations = 0
            while await expire(job, after_iterations, figures):
                after_iterations += 5 if full else 40
                written = await asyncio.to_thread(rows_in, tmp_path / "timed-out")
                assert written.items() <= whole.items()
        assert await asyncio.to_thread(rows_in, tmp_path / "timed-out") == whole
    async with asyncio.timeout(10.0):
        while await count_descriptors() > descriptors:  # The servers close their ends in a thread.
            pass
    assert nonzero(figures) == {"timeouts"}
    assert figures["timeouts"] > 20
