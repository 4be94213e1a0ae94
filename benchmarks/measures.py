"""How each workload is measured, whoever does the work."""

from __future__ import annotations

import asyncio
import gc
import time
import urllib.request
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import msgspec

from benchmarks.contestants.interface import Call, Depot
from benchmarks.contestants.register import contestant_named
from benchmarks.gauges import Gauges
from benchmarks.protocol import Access, Figures, Task
from benchmarks.workloads import (
    CHARGEBOXES,
    CONCURRENCY,
    DECODED,
    FILE_PAGES,
    FLEET,
    REPORTS_EACH,
    REQUESTS_AT_ONCE,
    WALK,
    WARMING,
)


class _Split(msgspec.Struct):
    items: list[msgspec.Raw]


def decoding(task: Task) -> Figures:
    """W1: the same reports, again and again."""
    page = _page(task.servers.depot, 1)
    reports = _split(page)
    decode_all = contestant_named(task.entry.contestant).decoding(page, reports)
    return _again_and_again(decode_all, reports, task.sizes.decoding)


def to_parquet(task: Task) -> Figures:
    """W7: the same pages into a file, again and again."""
    from pyarrow import parquet

    contestant = contestant_named(task.entry.contestant)
    pages = [_page(task.servers.depot, number + 1) for number in range(FILE_PAGES)]
    reports = [report for page in pages for report in _split(page)]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "reports.parquet"
        figures = _again_and_again(
            lambda: contestant.write_parquet(pages, file), reports, task.sizes.decoding
        )
        expect(parquet.read_metadata(file).num_rows, len(reports))
    return figures


def _again_and_again(call: Call, reports: Sequence[bytes], least: float) -> Figures:
    """The figures of what goes over all reports, for so many seconds after a first time."""
    call()
    gc.collect()
    passes, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < least:
        call()
        passes += 1
    seconds = elapsed / (passes * len(reports))
    return {"seconds": seconds, "speed": sum(map(len, reports)) / len(reports) / seconds}


def _split(page: bytes) -> list[bytes]:
    """The reports of a full page."""
    reports = [bytes(item) for item in msgspec.json.decode(page, type=_Split).items]
    expect(len(reports), DECODED)
    return reports


def _page(access: Access, number: int) -> bytes:
    """One page of the reports that are walked."""
    charger_id, connector_id = WALK
    query = {"chargerId": charger_id, "connectorId": connector_id, "page": number, "limit": DECODED}
    request = urllib.request.Request(  # noqa: S310 - http on loopback
        f"{access.base_url}/sessionReports?{urlencode(query)}",
        headers={"Authorization": f"Bearer {access.credential}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        page: bytes = answer.read()
    return page


async def walk(task: Task) -> Figures:
    """W2: all reports of one connector."""
    contestant = contestant_named(task.entry.contestant)
    async with contestant.depot(task.servers.depot) as depot:
        if task.entry.frozen:
            gc.collect()
            gc.freeze()
        return await walked(depot, task.sizes.reports)


async def poll(task: Task) -> Figures:
    """W4: many small calls."""
    contestant = contestant_named(task.entry.contestant)
    calls = task.sizes.calls
    if task.entry.share < 1:
        calls = max(round(calls * task.entry.share), task.sizes.fewest_calls)
    ids = cycle(f"TB-{n:04}" for n in range(1, CHARGEBOXES + 1))
    async with contestant.thor(task.servers.thor, CONCURRENCY) as thor:
        # Whoever does fewer calls would pay more for opening the connections, call by call.
        await thor.poll(islice(ids, WARMING), CONCURRENCY, lambda: None)
        async with Gauges() as gauges:
            await thor.poll(islice(ids, calls), CONCURRENCY, gauges.item)
    expect(gauges.items, calls)
    scale = task.sizes.calls / calls
    return {name: gauges.figures[name] * scale for name in ("seconds", "cpu")}


async def walk_fleet(task: Task) -> Figures:
    """W5: many connectors at once."""
    contestant = contestant_named(task.entry.contestant)
    limiter = asyncio.Semaphore(REQUESTS_AT_ONCE)
    connectors = range(1, task.sizes.connectors + 1)
    async with (
        contestant.depot(task.servers.depot, limiter) as depot,
        Gauges() as gauges,
        asyncio.TaskGroup() as group,
    ):
        for number in connectors:
            group.create_task(_consume(depot.walk(FLEET, str(number)), gauges))
    expect(gauges.items, len(connectors) * REPORTS_EACH)
    return gauges.figures


async def walked(depot: Depot, expected: int) -> Figures:
    """The figures of one walk, each report dropped when the next one comes."""
    async with Gauges() as gauges:
        await _consume(depot.walk(*WALK), gauges)
    expect(gauges.items, expected)
    return gauges.figures


async def _consume(reports: AsyncGenerator[object, None], gauges: Gauges) -> None:
    async with aclosing(reports):
        async for _ in reports:
            gauges.item()


def expect(found: int, expected: int) -> None:
    """Make sure that nothing was missed: such figures would be worth nothing."""
    if found != expected:
        raise RuntimeError(f"there were {found} items instead of {expected}")
