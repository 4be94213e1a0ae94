"""What only this library can be asked for: reading ahead, its limit, its making, an export."""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from benchmarks.contestants.ours import Ours
from benchmarks.contestants.register import contestant_named
from benchmarks.gauges import Gauges
from benchmarks.measures import expect, walked
from benchmarks.protocol import Access, Figures, Task
from benchmarks.workloads import EXPORT, EXPORT_SPAN, FIXED_LIMIT, WALK
from depotclient import DepotClient, SessionReport
from depotclient.reports import SessionReports
from thorclient import ThorClient


async def walk_far_away(task: Task) -> Figures:
    """W3: a walk with pages fetched ahead, from a server that takes its time."""
    ours = contestant_named(task.entry.contestant)
    if not isinstance(ours, Ours) or task.entry.read_ahead is None:
        raise TypeError(f"{task.entry.name} can't read ahead")
    ours = attrs.evolve(ours, limit=FIXED_LIMIT, read_ahead=task.entry.read_ahead)
    async with ours.depot(task.servers.slow_depot) as depot:
        return await walked(depot, task.sizes.far)


async def count_requests(task: Task) -> Figures:
    """W3: how many requests more a walk takes that has to find its limit; nothing is timed."""
    requests, access = _Requests(), task.servers.depot
    async with DepotClient(token=access.credential, base_url=access.base_url) as client:
        limit = await _largest_limit(client.session_reports(*WALK))
        adaptive = requests.taken()
        await _largest_limit(client.session_reports(*WALK, limit=limit))
        fixed = requests.taken()
    return {"adaptive": adaptive, "fixed": fixed, "limit": limit, "extra": adaptive - fixed}


async def _largest_limit(reports: SessionReports[SessionReport]) -> int:
    """Walk to the end. Return the largest limit."""
    async with aclosing(reports.pages()) as pages:
        return max([page.limit async for page in pages])


class _Requests(logging.Handler):
    """Counts requests: the library logs each as one record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._count = 0
        logger = logging.getLogger("evtransport")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._count += 1

    def taken(self) -> int:
        """How many there were since this was asked for last."""
        count, self._count = self._count, 0
        return count


def construct(task: Task) -> Figures:
    """W6: making clients that are never used."""
    makers: dict[str, Callable[[], object]] = {
        "DepotClient": lambda: DepotClient(token="a-token"),  # noqa: S106
        "ThorClient": lambda: ThorClient(api_key="a-key"),
    }
    make = makers[task.entry.name]
    times: list[float] = []
    for _ in range(task.sizes.constructed):
        started = time.perf_counter()
        make()
        times.append(time.perf_counter() - started)
    return {"seconds": statistics.median(times)}


def export(task: Task) -> Figures:
    """W8: all reports of some connectors into files."""
    from pyarrow import parquet

    with TemporaryDirectory() as folder:
        figures = asyncio.run(_exported(task.servers.depot, folder))
        files = Path(folder).rglob("*.parquet")
        expect(sum(parquet.read_metadata(file).num_rows for file in files), task.sizes.exported)
    return figures


async def _exported(access: Access, folder: str) -> Figures:
    # Imported by the first file otherwise, and that would count as growth.
    import depotclient.export.parquet  # noqa: F401
    from depotclient.export import export_session_reports

    charger_id, count = EXPORT
    connectors = [(charger_id, number) for number in range(1, count + 1)]
    begin, end = EXPORT_SPAN
    async with (
        DepotClient(token=access.credential, base_url=access.base_url) as client,
        Gauges() as gauges,
    ):
        done = await export_session_reports(client, connectors, folder, from_=begin, to=end)
    for connector in done.failed:
        if connector.error is not None:
            raise connector.error
    read = sum(connector.bytes_read for connector in done.connectors)
    return {**gauges.figures, "speed": read / gauges.figures["seconds"]}
