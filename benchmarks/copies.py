"""Copies of some connectors into files or a database, for W9 and W10."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

# An export imports it with its first file, and a load imports its drivers at once.
import depotclient.export.parquet  # noqa: F401
from benchmarks.metrics import Figures, Metrics, require_count
from benchmarks.workloads import LAG, LOAD, LOAD_SPAN
from depotclient import DepotClient
from depotclient.copying.concurrency import run_all
from depotclient.copying.result import Copy
from depotclient.database import ConnectorLoad, load_session_reports
from depotclient.export import ConnectorExport, export_session_reports
from tests.support.postgres import running_postgres


@attrs.frozen
class Copier:
    """Copies connectors into one target.

    Attributes:
        client: Client of the server.
        place: Folder of Parquet files, or address of a database.
        is_folder: Whether the place is a folder.
        connectors: Connectors to copy.
        concurrency: Number of connectors to read at a time.
        start: Start of the copied span.
    """

    client: DepotClient
    place: str
    is_folder: bool
    connectors: Sequence[tuple[str, str]]
    concurrency: int
    start: datetime = LOAD_SPAN[0]

    async def copy(self, *, again: bool = False) -> int:
        """Copy all reports. Return the number of sessions.

        Raises:
            RuntimeError: The copy is not complete.
        """
        copy: Copy[ConnectorExport] | Copy[ConnectorLoad]
        if self.is_folder:
            copy = await export_session_reports(
                self.client,
                self.connectors,
                self.place,
                from_=self.start,
                concurrency=self.concurrency,
                refresh=again,
            )
        else:
            copy = await load_session_reports(
                self.client,
                self.connectors,
                self.place,
                from_=self.start,
                lag=LAG,
                concurrency=self.concurrency,
            )
        for connector in copy.failed:
            raise RuntimeError(f"the copy failed: {connector.error}")
        return sum(connector.reports for connector in copy.connectors)

    async def read(self) -> int:
        """Read all pages and drop them. Return their size in bytes."""
        return sum(await run_all([partial(self._read, c) for c in self.connectors], 3))

    async def _read(self, connector: tuple[str, str]) -> int:
        size, (from_, to) = 0, LOAD_SPAN
        reports = self.client.session_reports(*connector, from_=from_, to=to)
        async with aclosing(reports.pages()) as pages:
            async for page in pages:
                size += len(page.raw)
        return size


@contextmanager
def new_place(target: str) -> Generator[str]:
    """Yield an empty folder, or the address of an empty database."""
    with TemporaryDirectory() as folder:
        if target == "postgresql":
            with running_postgres() as server:
                yield server.new_database()
        elif target == "parquet":
            yield folder
        else:
            yield f"{target}:///{Path(folder) / 'depot.db'}"


async def measure_nights(copier: Copier, expected: int) -> Figures:
    """Return the figures of a first night, and of a second one with the same reports."""
    started = time.perf_counter()
    size = await copier.read()
    reading = time.perf_counter() - started
    figures = await measure_load(copier, expected)
    first = copier.client.now()
    copier.client.now = lambda: first + timedelta(days=1)
    started = time.perf_counter()
    await copier.copy(again=True)
    again = time.perf_counter() - started
    return figures | {
        "speed": size / figures["seconds"],
        "reading": reading,
        "again": again,
        "share": (again - reading) / (figures["seconds"] - reading),
    }


async def measure_load(copier: Copier, expected: int) -> Figures:
    """Return the figures of one copy."""
    async with Metrics() as metrics:
        reports = await copier.copy()
    require_count(reports, expected)
    return metrics.figures


def connectors_of(count: int) -> list[tuple[str, str]]:
    """Return the first connectors of the charger for copies."""
    return [(LOAD[0], str(number)) for number in range(1, count + 1)]
