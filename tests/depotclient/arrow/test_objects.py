"""Rows of Arrow tables become the objects of a walk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("pyarrow")
# Arrow imports pandas when it is first used, which blocks an event loop.
pytest.importorskip("pandas")

import pyarrow as pa

from depotclient import DepotClient
from depotclient.arrow import SESSION_REPORTS, session_reports_from

CHARGER, CONNECTOR = "CP-001", "1"


async def test_rows_become_the_objects_of_the_walk_whatever_the_columns(
    depot: DepotClient, table: pa.Table
) -> None:
    months = pa.array(["2026-01"] * table.num_rows)
    wider = table.select(SESSION_REPORTS.names[::-1]).append_column("month", months)

    reports = await depot.session_reports(CHARGER, CONNECTOR).collect(max_items=100)

    assert len(reports) == 30
    for rows in (table, wider):
        assert await asyncio.to_thread(session_reports_from, rows) == reports


def replace_column(table: pa.Table, name: str, values: pa.Array[Any]) -> pa.Table:
    return table.drop_columns([name]).append_column(name, values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.drop_columns(["ocpp_status", "vehicle_id"]),
            "column vehicle_id, ocpp_status is missing",
        ),
        (
            lambda table: replace_column(table, "session_id", pa.array(["x"] * 30)),
            "rows must be session reports: Failed to parse string",
        ),
        (
            lambda table: replace_column(table, "session_id", pa.nulls(30)),
            "rows must be session reports: .* required field `session_id`",
        ),
    ],
)
async def test_rows_that_are_not_session_reports_are_rejected(
    table: pa.Table, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await asyncio.to_thread(session_reports_from, change(table))
