"""A fleet of 40 connectors with 5,000 reports, and tables of its reports."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from depotclient.arrow import FLEET_REPORTS
from depotclient.partitions import Connector, ReadSettings, plan, read_table
from depotclient.sandbox import DepotSandbox, ReportShape, running_in_thread
from tests.support.clients import account_of
from tests.support.pages import served
from tests.support.wire import Wire

S = TypeVar("S")

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
REPORTS = 5000


@contextmanager
def in_thread(server: AbstractAsyncContextManager[S]) -> Generator[S]:
    """Run a server in a thread with its own event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def fleet(**options: Any) -> Generator[DepotSandbox]:
    """Run a sandbox with 40 connectors and 125 sessions of each in January 2026."""
    given = {"chargers": 20, "sessions": 125, "start": BEGIN, "shape": ReportShape.small()}
    with running_in_thread(DepotSandbox(**{**given, **options})) as sandbox:
        yield sandbox


def connectors_of(sandbox: DepotSandbox) -> list[Connector]:
    """Return all connectors of a sandbox."""
    return [(charger, name) for charger, names in sandbox.chargers.items() for name in names]


def settings_of(sandbox: DepotSandbox, **options: Any) -> ReadSettings:
    """Return settings with the client credentials of a sandbox."""
    return ReadSettings(**account_of(sandbox), **options)


def in_one_process(sandbox: DepotSandbox) -> pa.Table:
    """Return all reports of January and February, read by one process, in order."""
    table = read_table(plan(connectors_of(sandbox), BEGIN, END), settings_of(sandbox))
    return ordered(table)


@contextmanager
def sharing_an_id() -> Generator[dict[str, Any]]:
    """Serve three sessions of CP-001/1 with the id -1, in January, and yield the settings."""
    items = [
        {"sessionId": -1, "vehicleId": vehicle, "sessionTimeStart": f"2026-01-{day}T00:00:00Z"}
        for vehicle, day in [("A", 10), ("B", 11), ("C", 12)]
    ]
    with in_thread(Wire(default=served(items))) as wire:
        yield {"token": "t0k3n", "base_url": wire.url}


def insert_report(
    sandbox: DepotSandbox, session_id: int, start: datetime | None, **fields: Any
) -> None:
    """Add a report of one hour to CP-001/1, like the first one of that connector."""
    report = json.loads(sandbox.reports("CP-001", "1")[0])
    end = None if start is None else (start + timedelta(hours=1)).isoformat()
    times = {"sessionTimeStart": start and start.isoformat(), "sessionTimeEnd": end}
    text = json.dumps({**report, "sessionId": session_id, **times, **fields})
    sandbox.add("CP-001", "1", text.encode())


def ordered(table: pa.Table) -> pa.Table:
    """Return the same rows, sorted by session id, with the types of this library."""
    columns = [table[name] for name in FLEET_REPORTS.names]
    fleet_table = pa.Table.from_arrays(columns, names=FLEET_REPORTS.names)
    return fleet_table.cast(FLEET_REPORTS).sort_by("session_id").combine_chunks()
