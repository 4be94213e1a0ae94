"""Walks yield Arrow batches with the declared schema, and rows become objects again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any

import attrs
import pytest

from tests.support.clients import client_of
from tests.support.pages import PageTransport

pytest.importorskip("pyarrow")
# Arrow imports pandas when it is first used, which blocks an event loop.
pytest.importorskip("pandas")

import pyarrow as pa

from depotclient import DepotClient, OcppStatus, SessionReport, SessionReports
from depotclient.arrow import SESSION_REPORTS, record_batches, schema_of, session_reports_from
from depotclient.sandbox import DepotSandbox, ReportShape

CHARGER, CONNECTOR = "CP-001", "1"
OPTIONAL_TEXT: Any = str | None


@attrs.frozen
class Part:
    """Some of the fields, in another order."""

    ocpp_status: list[OcppStatus]
    session_time_start: datetime | None
    vehicle_id: str | None = attrs.field(default=None, init=False)


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    async with DepotSandbox(sessions=30, shape=ReportShape.small()) as running:
        yield running


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    async with client_of(sandbox) as client:
        yield client


@pytest.fixture
async def table(depot: DepotClient) -> pa.Table:
    return await read(depot.session_reports(CHARGER, CONNECTOR))


async def read(reports: SessionReports[Any]) -> pa.Table:
    batches = [batch async for batch in record_batches(reports)]
    return pa.Table.from_batches(batches, schema_of(reports.into))


def test_the_schema_has_the_names_and_types_of_the_objects() -> None:
    time, double, text = pa.timestamp("ms", tz="UTC"), pa.float64(), pa.string()

    def struct(**fields: pa.DataType) -> pa.DataType:
        return pa.struct([*fields.items(), ("event_timestamp", time)])

    limits = ("max_power", "max_current", "max_voltage", "min_current", "min_voltage")
    error_codes = pa.list_(struct(error_code=text, error_counter=pa.int64()))
    voltages = {"present_voltage": double, "requested_voltage": double}
    expected: dict[str, pa.DataType] = {
        "session_id": pa.int64(),
        "vehicle_id": text,
        "session_time_start": time,
        "session_time_end": time,
        **{
            f"energy_{counter}_{end}": double
            for counter in ("soc", "charge", "primary", "requested")
            for end in ("start", "end")
        },
        "ocpp_status": pa.list_(struct(value=text)),
        "detail_status": pa.list_(struct(key=text, value=text)),
        "device_status": pa.list_(struct(status=text, device_id=text, error_codes=error_codes)),
        "charge_parameters": pa.list_(struct(param_type=text, **dict.fromkeys(limits, double))),
        "session_meter_values": pa.list_(struct(key=text, value=double)),
        "battery_alignment_results": struct(in_range=pa.bool_(), **voltages),
        "dc_breaker_open_conditions": struct(current=double, voltage=double),
    }
    assert pa.schema(expected) == SESSION_REPORTS
    assert schema_of(SessionReport) == SESSION_REPORTS


def test_a_class_has_one_column_for_each_argument_of_its_constructor_in_order() -> None:
    names = ["ocpp_status", "session_time_start"]
    assert schema_of(Part) == pa.schema([SESSION_REPORTS.field(name) for name in names])


@pytest.mark.parametrize(
    ("name", "kind", "options", "problem"),
    [
        ("vehicle_id", OPTIONAL_TEXT, {"converter": str}, "a converter or a validator"),
        ("vehicle_id", OPTIONAL_TEXT, {"validator": print}, "a converter or a validator"),
        ("vehicle_id", OPTIONAL_TEXT, {"default": "none"}, "a default, which Arrow does not know"),
        ("vehicle_id", str, {}, "no Arrow type: <class 'str'>"),
        ("session_id", dict[str, int], {}, "no Arrow type"),
        ("session_id", int | str, {}, "no Arrow type"),
        ("session_id", int | float | None, {}, "no Arrow type"),
        ("session_id", list[int], {}, "no Arrow type"),
    ],
)
def test_a_field_that_arrow_handles_differently_is_rejected(
    name: str, kind: Any, options: dict[str, Any], problem: str
) -> None:
    cls = attrs.make_class("Odd", {name: attrs.field(type=kind, **options)})
    with pytest.raises(ValueError, match=rf"^Odd\.{name} has {problem}"):
        schema_of(cls)


def test_the_error_about_a_nested_field_names_its_class() -> None:
    inner = attrs.make_class("Inner", {"value": attrs.field(type=bytes)})
    outer = attrs.make_class("Outer", {"ocpp_status": attrs.field(type=list[inner])})  # type: ignore[valid-type]
    with pytest.raises(ValueError, match=r"Inner\.value has no Arrow type"):
        schema_of(outer)


async def test_a_class_without_fields_is_rejected_before_any_request(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    empty = attrs.make_class("Nothing", [])
    with pytest.raises(ValueError, match=r"Nothing'> has no fields"):
        await anext(record_batches(depot.session_reports(CHARGER, CONNECTOR, into=empty)))
    assert list(sandbox.requests) == []


async def test_each_page_is_one_batch(sandbox: DepotSandbox, depot: DepotClient) -> None:
    reports = depot.session_reports(CHARGER, CONNECTOR, limit=20, into=Part)

    batches = [batch async for batch in record_batches(reports)]

    assert [batch.num_rows for batch in batches] == [len(p.ids) async for p in reports.pages()]
    assert {batch.schema for batch in batches} == {schema_of(Part)}


async def test_an_empty_window_has_no_batches() -> None:
    async with DepotSandbox(sessions=0) as sandbox, client_of(sandbox) as depot:
        table = await read(depot.session_reports(CHARGER, CONNECTOR))
    assert table.num_rows == 0
    assert session_reports_from(table) == []


async def test_closing_early_cancels_the_requests_in_flight() -> None:
    transport = PageTransport([{"sessionId": number} for number in range(30)])
    transport.stalls = True
    reports = transport.client().session_reports("A", 1, limit=5, read_ahead=5)

    async with aclosing(record_batches(reports)) as batches:
        assert (await anext(batches)).num_rows == 5

    assert len(transport.queries) == 6
    assert asyncio.all_tasks() == {asyncio.current_task()}


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


def test_a_function_has_no_arrow_schema() -> None:
    with pytest.raises(ValueError, match="Arrow needs a class with fields"):
        schema_of(bytes.decode)
