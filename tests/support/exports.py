"""Exports of a few connectors, and what their folders hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from depotclient import DepotClient
from depotclient.export import ConnectorExport, export_session_reports
from depotclient.export.staging import INNER_STAGING
from depotclient.partitions import Connector
from depotclient.sandbox import DepotSandbox
from tests.support.pages import query_of, served
from tests.support.wire import Received, Wire

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
FEBRUARY_20 = datetime(2026, 2, 20, tzinfo=UTC)
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ALL: tuple[Connector, ...] = (("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1"))
FIRST = ALL[:1]

Item = dict[str, object]
Rows = dict[str, list[tuple[object, object]]]


async def export_first(depot: DepotClient, folder: Path, **options: Any) -> ConnectorExport:
    """Export January of the first connector."""
    given: dict[str, Any] = {"from_": START, "to": END, **options}
    export = await export_session_reports(depot, FIRST, folder, **given)
    return export.connectors[0]


@asynccontextmanager
async def serving(
    months: Mapping[str, Sequence[Item]] | Sequence[Item], now: datetime = FEBRUARY_20
) -> AsyncGenerator[DepotClient]:
    """Serve the same reports in each window, or those of the requested month."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        start = datetime.fromisoformat(query_of(request)["from"]) + timedelta(days=1)
        items = months.get(f"{start:%Y-%m}", []) if isinstance(months, Mapping) else months
        await served(items)(request, reader, writer)

    async with (
        Wire(default=play) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: now
        yield depot


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all complete files, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".part")
    }


def staging_files(folder: Path) -> list[str]:
    """Return the names of the incomplete files."""
    outer = folder.parent / f".{folder.name}{INNER_STAGING}"
    return sorted(
        path.name for staging in (outer, folder / INNER_STAGING) for path in staging.glob("*")
    )


def rows_in(folder: Path) -> Rows:
    """Return the session id and vehicle of the reports of each window, sorted."""
    found: Rows = {}
    for path in folder.rglob("reports.*"):
        if path.suffix == ".parquet":
            table = pq.ParquetFile(path).read(["session_id", "vehicle_id"])
            columns = (column.to_pylist() for column in table.columns)
            rows: list[tuple[object, object]] = [*zip(*columns, strict=True)]
        else:
            reports = map(msgspec.json.decode, path.read_bytes().splitlines())
            rows = [(report.get("sessionId"), report.get("vehicleId")) for report in reports]
        window = path.parent.name.partition("=")[2]
        found[window] = sorted([*found.get(window, []), *rows], key=repr)
    return found


def ids_in(folder: Path) -> Counter[object]:
    """Return how often each session id occurs in a folder."""
    return Counter(session_id for rows in rows_in(folder).values() for session_id, _ in rows)


def expected_ids(sandbox: DepotSandbox, connectors: Sequence[Connector] = ALL) -> Counter[object]:
    """Return how often each session id must occur in an export."""
    return Counter(
        session_id
        for charger, connector in connectors
        for session_id in sandbox.session_ids(charger, connector)
    )
