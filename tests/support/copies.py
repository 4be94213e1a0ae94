"""Targets of copies, and readers of them that don't use the code that writes.

A test of five nights:

    await follow(NightlyDepot(), Files(tmp_path, "parquet"))
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias
from urllib.parse import unquote

import attrs
import pyarrow.compute as pc
import pyarrow.parquet as pq

from depotclient import DepotClient
from depotclient.export import export_session_reports
from depotclient.partitions import Connector, Window
from tests.support.clients import client_of
from tests.support.nights import BEGIN, CONNECTORS, Contents, NightlyDepot, Row, row_of

FileFormat: TypeAlias = Literal["parquet", "ndjson"]
COLUMNS = ("session_id", "session_time_start", "session_time_end", "energy_soc_end")


class CopyTarget(Protocol):
    """A place for copies. It can be pickled."""

    async def copy(
        self, depot: DepotClient, connectors: Sequence[Connector]
    ) -> Sequence[Exception | None]:
        """Copy the connectors from `BEGIN` on, and return their errors."""
        ...

    def read(self) -> Contents:
        """Return what the copy holds."""
        ...

    def truth(self, depot: NightlyDepot) -> Contents:
        """Return what the copy must hold."""
        ...


@attrs.frozen
class Files:
    """Folder with files of one format."""

    folder: Path
    format: FileFormat
    window: Window = "month"

    async def copy(
        self, depot: DepotClient, connectors: Sequence[Connector]
    ) -> Sequence[Exception | None]:
        """Export the connectors from `BEGIN` on, and return their errors."""
        export = await export_session_reports(
            depot,
            connectors,
            self.folder,
            from_=BEGIN,
            format=self.format,
            window=self.window,
        )
        return [connector.error for connector in export.connectors]

    def read(self) -> Contents:
        """Return the rows of all complete files."""
        rows = Counter[Row]()
        for path in self.folder.rglob(f"reports.{self.format}"):
            rows.update(_parquet_rows(path) if self.format == "parquet" else _ndjson_rows(path))
        return Contents(rows)

    def truth(self, depot: NightlyDepot) -> Contents:
        """Return what the files must hold. They don't mark vanished sessions."""
        truth = depot.truth()
        return Contents(truth.present + truth.vanished)


def _parquet_rows(path: Path) -> Iterator[Row]:
    table = pq.ParquetFile(path).read([*COLUMNS, "session_meter_values"])
    counts = pc.list_value_length(table["session_meter_values"]).to_pylist()
    columns = (table[name].to_pylist() for name in COLUMNS)
    for session_id, start, end, soc_end, count in zip(*columns, counts, strict=True):
        yield Row(*_connector_of(path), session_id, start, end, soc_end, count)


def _ndjson_rows(path: Path) -> Iterator[Row]:
    for line in path.read_bytes().splitlines():
        yield row_of(_connector_of(path), json.loads(line))


def _connector_of(path: Path) -> tuple[str, str]:
    """Return the ids in the names of the folders around the folder of a window."""
    charger, connector = (unquote(name.partition("=")[2]) for name in path.parts[-4:-2])
    return charger, connector


async def follow(depot: NightlyDepot, target: CopyTarget, nights: Iterable[int] = range(5)) -> None:
    """Copy a depot on several nights. Assert after each that the copy holds the truth."""
    async with depot.sandbox, client_of(depot.sandbox) as client:
        for number in nights:
            depot.night(number)
            client.now = lambda: depot.now
            errors = await target.copy(client, CONNECTORS)
            assert not any(errors), (number, errors)
            found = await asyncio.to_thread(target.read)
            differences = found.differences(target.truth(depot))
            assert not differences, "\n".join([f"night {number}", *differences])
