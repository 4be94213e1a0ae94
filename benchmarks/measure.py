"""Measuring process: takes one row of one workload as JSON, and prints its figures as JSON."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import attrs
import msgspec

from benchmarks import workloads
from benchmarks.candidates.base import Access, Candidate, SplitPage, Walk, Work
from benchmarks.metrics import Figures, Metrics, require_count
from benchmarks.workloads import WALK, Row, Sizes

MIN_CALLS = 500


def load_candidate(name: str) -> Candidate:
    """Import a candidate, such as `ours:FULL`, and none of the others."""
    module, _, attribute = name.partition(":")
    candidate = getattr(import_module(f"benchmarks.candidates.{module}"), attribute)
    if not isinstance(candidate, Candidate):
        raise TypeError(f"{name} is not a candidate")
    return candidate


@attrs.frozen
class Measurement:
    """One row of one workload, with the servers to use."""

    row: Row
    sizes: Sizes
    depot: Access
    slow: Access
    distant: Access
    thor: Access

    def run(self, workload: str) -> Figures:
        """Return the figures of a workload."""
        method = getattr(self, workload.lower())
        figures: Figures = (
            asyncio.run(method()) if inspect.iscoroutinefunction(method) else method()
        )
        return figures

    def w1(self) -> Figures:
        """Decode the same reports again and again."""
        page = fetch_page(self.depot, 1)
        reports = split(page)
        decode = self._candidate.decoder(page, reports)
        self._freeze()
        return repeat(decode, reports, self.sizes.seconds)

    async def w2(self) -> Figures:
        """Walk over one connector."""
        async with self._candidate.depot(self.depot) as walk:
            self._freeze()
            figures = await measure_walk(walk, self.sizes.reports)
        rate = self.sizes.reports / figures["seconds"]
        size = len(fetch_page(self.depot, 1)) / workloads.PAGE_REPORTS
        return figures | {"rate": rate, "speed": rate * size}

    async def w3(self) -> Figures:
        """Walk over one connector of the slow or the distant server."""
        candidate = self._candidate.with_read_ahead(self.row.read_ahead)
        server, reports = self.slow, self.sizes.slow_reports
        if self.row.server == "distant":
            server, reports = self.distant, self.sizes.distant_reports
        async with candidate.depot(server) as walk:
            return await measure_walk(walk, reports)

    async def w4(self) -> Figures:
        """Make many small calls."""
        calls = max(round(self.sizes.calls * self.row.share), MIN_CALLS)
        ids = cycle(workloads.CHARGEBOX_IDS)
        async with self._candidate.thor(self.thor) as poll:
            # Open the connections before the clock starts.
            await poll(islice(ids, 2 * workloads.CONCURRENCY), lambda: None)
            async with Metrics() as metrics:
                await poll(islice(ids, calls), metrics.count_item)
        require_count(metrics.items, calls)
        return {key: metrics.figures[key] * self.sizes.calls / calls for key in ("seconds", "cpu")}

    async def w5(self) -> Figures:
        """Walk over many connectors at once."""
        limiter = asyncio.Semaphore(workloads.FLEET_REQUESTS)
        connectors = range(1, self.sizes.connectors + 1)
        async with (
            self._candidate.depot(self.depot, limiter) as walk,
            Metrics() as metrics,
            asyncio.TaskGroup() as group,
        ):
            for number in connectors:
                group.create_task(consume(walk(workloads.FLEET, str(number)), metrics))
        require_count(metrics.items, len(connectors) * workloads.FLEET_REPORTS)
        return metrics.figures

    def w6(self) -> Figures:
        """Run a program that imports, a second time, when it is compiled and cached."""
        for _ in range(2):
            started = time.perf_counter()
            command = [sys.executable, "-c", self.row.statement]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return {"seconds": time.perf_counter() - started}

    def w7(self) -> Figures:
        """Write the same pages into a file again and again."""
        import pyarrow as pa
        from pyarrow import parquet

        pa.set_cpu_count(1)
        pages = [fetch_page(self.depot, number + 1) for number in range(workloads.PAGES)]
        reports = [report for page in pages for report in split(page)]
        candidate = self._candidate
        with TemporaryDirectory() as folder:
            file = Path(folder) / "reports.parquet"
            figures = repeat(
                lambda: candidate.write_parquet(pages, file), reports, self.sizes.seconds
            )
            require_count(parquet.read_metadata(file).num_rows, len(reports))
            return figures | {"size": float(file.stat().st_size)}

    def w8(self) -> Figures:
        """Export some connectors."""
        from pyarrow import parquet

        with TemporaryDirectory() as folder:
            figures = asyncio.run(self._export(folder))
            files = Path(folder).rglob("*.parquet")
            count = sum(parquet.read_metadata(file).num_rows for file in files)
            require_count(count, self.sizes.exported)
        return figures

    async def _export(self, folder: str) -> Figures:
        # Otherwise the first file would import this, and the import would count as growth.
        import depotclient.export.parquet  # noqa: F401
        from depotclient import DepotClient
        from depotclient.export import export_session_reports

        charger_id, count = workloads.EXPORT
        connectors = [(charger_id, number) for number in range(1, count + 1)]
        start, end = workloads.EXPORT_SPAN
        async with (
            DepotClient(token=self.depot.credential, base_url=self.depot.base_url) as client,
            Metrics() as metrics,
        ):
            export = await export_session_reports(client, connectors, folder, from_=start, to=end)
        for connector in export.failed:
            raise RuntimeError(f"the export failed: {connector.error}")
        size = sum(connector.bytes_read for connector in export.connectors)
        return metrics.figures | {"speed": size / metrics.figures["seconds"]}

    def w9(self) -> Figures:
        """Copy some connectors on two nights."""
        return asyncio.run(self._copy(nights=2, concurrency=3))

    def w10(self) -> Figures:
        """Load some connectors, one after another."""
        return asyncio.run(self._copy(nights=1, concurrency=1))

    async def w11(self) -> Figures:
        """Walk over or copy many small reports."""
        # Its drivers are an extra, which other workloads don't need.
        from benchmarks.scale import measure_scale

        return await measure_scale(self.row, self.depot)

    async def _copy(self, nights: int, concurrency: int) -> Figures:
        # Its drivers are an extra, which other workloads don't need.
        from benchmarks.copies import Copier, connectors_of, measure_load, measure_nights, new_place
        from depotclient import DepotClient

        target, count = self.row.target, self.row.connectors
        measure = measure_nights if nights == 2 else measure_load
        with new_place(target) as place:
            async with DepotClient(
                token=self.depot.credential, base_url=self.depot.base_url
            ) as client:
                # The clock stands at the end of the span.
                client.now = lambda: workloads.LOAD_SPAN[1]
                copier = Copier(
                    client, place, target == "parquet", connectors_of(count), concurrency
                )
                return await measure(copier, self.sizes.loaded // workloads.LOAD[1] * count)

    def _freeze(self) -> None:
        if self.row.freeze:
            gc.collect()
            gc.freeze()

    @property
    def _candidate(self) -> Candidate:
        return load_candidate(self.row.candidate)


def repeat(work: Work, reports: Sequence[bytes], min_seconds: float) -> Figures:
    """Return time and speed per report of work that is repeated after a first time."""
    work()
    gc.collect()
    passes, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < min_seconds:
        work()
        passes += 1
    seconds = elapsed / (passes * len(reports))
    return {"seconds": seconds, "speed": sum(map(len, reports)) / len(reports) / seconds}


def split(page: bytes) -> list[bytes]:
    """Return the reports of a full page."""
    reports = [bytes(item) for item in msgspec.json.decode(page, type=SplitPage).items]
    require_count(len(reports), workloads.PAGE_REPORTS)
    return reports


def fetch_page(access: Access, number: int) -> bytes:
    """Return one page of reports."""
    charger_id, connector_id = WALK
    query = {"chargerId": charger_id, "connectorId": connector_id}
    request = urllib.request.Request(  # noqa: S310 - http on loopback
        f"{access.base_url}/sessionReports?"
        + urlencode(query | {"page": str(number), "limit": str(workloads.PAGE_REPORTS)}),
        headers={"Authorization": f"Bearer {access.credential}"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        page: bytes = response.read()
    return page


async def measure_walk(walk: Walk, expected: int) -> Figures:
    """Return the figures of one walk that drops each report."""
    async with Metrics() as metrics:
        await consume(walk(*WALK), metrics)
    require_count(metrics.items, expected)
    return metrics.figures


async def consume(reports: AsyncGenerator[object, None], metrics: Metrics) -> None:
    """Count and drop all reports of a walk."""
    async with aclosing(reports):
        async for _ in reports:
            metrics.count_item()


if __name__ == "__main__":
    task = json.loads(sys.stdin.readline())
    measurement = Measurement(
        Row(**task["row"]),
        Sizes(**task["sizes"]),
        **{name: Access(*address) for name, address in task["servers"].items()},
    )
    print(json.dumps(measurement.run(task["workload"])))
