"""A fleet of 40 connectors with 5,000 reports, and how its tables are compared."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from depotclient.arrow import FLEET_REPORTS
from depotclient.partitions import Connector, ReadSettings, plan, read_table
from depotclient.sandbox import DepotSandbox, ReportShape, running_in_thread
from tests.support.clients import account_of
from tests.support.pages import served
from tests.support.wire import Wire

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
REPORTS = 5000


@contextmanager
def fleet(**options: Any) -> Generator[DepotSandbox]:
    """A sandbox in a thread of its own: 40 connectors with 125 sessions each, in January 2026."""
    given = {"chargers": 20, "sessions": 125, "start": BEGIN, "shape": ReportShape.small()}
    with running_in_thread(DepotSandbox(**{**given, **options})) as sandbox:
        yield sandbox


def connectors_of(sandbox: DepotSandbox) -> list[Connector]:
    """All that it has."""
    return [(charger, name) for charger, names in sandbox.chargers.items() for name in names]


def settings_of(sandbox: DepotSandbox, **options: Any) -> ReadSettings:
    """Settings with its client credentials."""
    return ReadSettings(**account_of(sandbox), **options)


def in_one_process(sandbox: DepotSandbox) -> pa.Table:
    """All its reports from January to February, as one process reads them, in order."""
    table = read_table(plan(connectors_of(sandbox), BEGIN, END), settings_of(sandbox))
    return ordered(table)


@contextmanager
def sharing_an_id() -> Generator[dict[str, Any]]:
    """Serve three sessions of CP-001/1 with the id -1, in January, and yield the settings."""
    items = [
        {"sessionId": -1, "vehicleId": vehicle, "sessionTimeStart": f"2026-01-{day}T00:00:00Z"}
        for vehicle, day in [("A", 10), ("B", 11), ("C", 12)]
    ]
    with running_in_thread(Wire(default=served(items))) as wire:  # type: ignore[type-var]
        yield {"token": "t0k3n", "base_url": wire.url}


def ordered(table: pa.Table) -> pa.Table:
    """The same rows by session, with the types of this library."""
    columns = [table[name] for name in FLEET_REPORTS.names]
    named = pa.Table.from_arrays(columns, names=FLEET_REPORTS.names)
    return named.cast(FLEET_REPORTS).sort_by("session_id").combine_chunks()
