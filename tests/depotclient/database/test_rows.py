"""The tables hold all values of a report, and `session_key` joins them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import duckdb
import pytest

from depotclient import DepotClient, DepotSandbox, SessionReport
from depotclient.database import load_session_reports
from depotclient.database.rows import compute_key

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = [("CP-001", "1")]

Row = dict[str, Any]
Select = Callable[[str], Awaitable[list[Row]]]


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        ((7, JANUARY), -1781270996513137202),
        ((7, 123), 4310495458642027177),
        ((-1, JANUARY), 5568844044422927500),
    ],
)
def test_the_key_of_a_session_is_the_same_in_every_version(identity: Any, key: int) -> None:
    assert compute_key(("CP-001", "1"), identity) == key


@pytest.fixture
async def report(depot: DepotClient) -> SessionReport:
    """Return the first report of the connector."""
    [report] = await depot.session_reports("CP-001", 1).collect(max_items=1)
    return report


@pytest.fixture
async def select(depot: DepotClient, tmp_path: Path) -> Select:
    """Load a connector. Return a function that selects the rows of its first session."""
    target = tmp_path / "depot.duckdb"
    await load_session_reports(depot, FIRST, target, from_=JANUARY)

    def run(table: str) -> list[Row]:
        with duckdb.connect(str(target)) as database:
            found = database.execute("SET TimeZone = 'UTC'").execute(
                f"SELECT t.* FROM {table} t JOIN session_reports USING (session_key)"  # noqa: S608
                " WHERE session_reports.session_id = 100000001 ORDER BY ALL"
            )
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return lambda table: asyncio.to_thread(run, table)


async def test_the_scalars_of_a_report_are_one_row(report: SessionReport, select: Select) -> None:
    values: Row = {}
    for name, value in attrs.asdict(report).items():
        if isinstance(value, dict):
            values |= {f"{name}_{inner}": each for inner, each in value.items()}
        elif not isinstance(value, list):
            values[name] = value

    [row] = await select("session_reports")

    assert (row.pop("charger_id"), row.pop("connector_id")) == FIRST[0]
    assert row.pop("session_key") == compute_key(FIRST[0], (100000001, row["session_time_start"]))
    assert (len(row.pop("digest")), row.pop("vanished_at")) == (32, None)
    assert row.pop("loaded_at") < datetime.now(UTC)
    assert row == values


async def test_each_event_is_a_row_with_its_position(report: SessionReport, select: Select) -> None:
    tables: dict[str, list[Row]] = {
        "meter_values": [*map(attrs.asdict, report.session_meter_values)],
        "ocpp_status": [*map(attrs.asdict, report.ocpp_status)],
        "detail_status": [*map(attrs.asdict, report.detail_status)],
        "charge_parameters": [*map(attrs.asdict, report.charge_parameters)],
        "device_status": [
            attrs.asdict(status, filter=lambda field, _: field.name != "error_codes")
            for status in report.device_status
        ],
    }
    errors = [
        {"device_status_position": outer, "position": inner, **attrs.asdict(code)}
        for outer, status in enumerate(report.device_status)
        for inner, code in enumerate(status.error_codes)
    ]
    for rows in tables.values():
        for position, row in enumerate(rows):
            row["position"] = position
    tables["device_errors"] = errors

    for table, rows in tables.items():
        found = await select(table)
        assert rows
        assert len({row.pop("session_key") for row in found}) == 1
        assert found == rows, table


async def test_the_view_has_the_duration_and_the_energy_of_each_session(
    report: SessionReport, select: Select
) -> None:
    assert report.session_time_start is not None
    assert report.session_time_end is not None
    assert report.energy_charge_start is not None
    assert report.energy_charge_end is not None

    [row] = await select("sessions")

    seconds = (report.session_time_end - report.session_time_start).total_seconds()
    assert row["duration_minutes"] == pytest.approx(seconds / 60)
    energy = report.energy_charge_end - report.energy_charge_start
    assert row["energy_kwh"] == pytest.approx(energy / 1000)


async def test_a_missing_event_and_a_missing_struct_are_null(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    sandbox.add("CP-9", "1", b'{"sessionId": 7, "ocppStatus": null, "tariff": {"name": "night"}}')

    load = await load_session_reports(
        depot, [("CP-9", 1)], tmp_path / "depot.duckdb", from_=JANUARY
    )

    [connector] = load.connectors
    assert (connector.new, connector.strays) == (1, (7,))
    assert connector.unknown_fields == {"tariff": 1}
    with duckdb.connect(str(tmp_path / "depot.duckdb")) as database:
        assert database.sql(
            "SELECT battery_alignment_results_in_range, session_time_start FROM session_reports"
        ).fetchall() == [(None, None)]
