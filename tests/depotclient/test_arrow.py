"""Record batches hold the values that the objects hold."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias, cast

import attrs
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from tests.support.clients import client_of
from tests.support.pages import served
from tests.support.wire import Wire

pytest.importorskip("pyarrow")

import pyarrow as pa

from depotclient import (
    DepotClient,
    MeterValue,
    OcppStatus,
    Page,
    ResponseError,
    SchemaError,
    SessionReport,
    SessionReports,
    arrow,
)
from depotclient.arrow import (
    SESSION_REPORTS,
    batch_of,
    record_batches,
    schema_of,
    session_reports_from,
)
from depotclient.models import structurer_of
from depotclient.query import Query
from depotclient.sandbox import DepotSandbox, ReportShape
from depotclient.sandbox.simulation import render, simulate_sessions
from evtransport.http import Request
from evtransport.transport import Transport

SMALL = ReportShape.small()
CHARGER, CONNECTOR = "CP-001", "1"
TIME = pa.timestamp("ms", tz="UTC")
INT64 = range(-(2**63), 2**63)


@attrs.frozen
class Part:
    """Some of the fields, of every kind."""

    session_time_start: datetime | None
    energy_charge_end: float | None
    ocpp_status: list[OcppStatus]
    session_meter_values: list[MeterValue]


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    async with DepotSandbox(sessions=75, shape=SMALL) as running:
        yield running


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    async with client_of(sandbox) as client:
        yield client


async def table_of(reports: SessionReports[Any]) -> pa.Table:
    batches = [batch async for batch in record_batches(reports)]
    return pa.Table.from_batches(batches, schema_of(reports.into))


def ids_of(batch: pa.RecordBatch) -> list[Any]:
    return batch.column("session_id").to_pylist()


# What is declared.


def test_the_schema_has_the_names_and_the_types_of_the_objects() -> None:
    double, text = pa.float64(), pa.string()

    def events(**fields: pa.DataType) -> pa.DataType:
        return pa.list_(pa.struct(list(fields.items())))

    errors = events(error_code=text, error_counter=pa.int64(), event_timestamp=TIME)
    limits = dict.fromkeys(
        ("max_power", "max_current", "max_voltage", "min_current", "min_voltage"), double
    )
    energies = [
        f"energy_{counter}_{end}"
        for counter in ("soc", "charge", "primary", "requested")
        for end in ("start", "end")
    ]
    fields: list[tuple[str, pa.DataType]] = [
        ("session_id", pa.int64()),
        ("vehicle_id", text),
        ("session_time_start", TIME),
        ("session_time_end", TIME),
        *((name, double) for name in energies),
        ("ocpp_status", events(value=text, event_timestamp=TIME)),
        ("detail_status", events(key=text, value=text, event_timestamp=TIME)),
        (
            "device_status",
            events(status=text, device_id=text, error_codes=errors, event_timestamp=TIME),
        ),
        ("charge_parameters", events(param_type=text, **limits, event_timestamp=TIME)),
        ("session_meter_values", events(key=text, value=double, event_timestamp=TIME)),
        (
            "battery_alignment_results",
            pa.struct(
                [
                    ("in_range", pa.bool_()),
                    ("present_voltage", double),
                    ("requested_voltage", double),
                    ("event_timestamp", TIME),
                ]
            ),
        ),
        (
            "dc_breaker_open_conditions",
            pa.struct([("current", double), ("voltage", double), ("event_timestamp", TIME)]),
        ),
    ]

    assert pa.schema(fields) == SESSION_REPORTS
    assert schema_of(SessionReport) == SESSION_REPORTS
    assert SESSION_REPORTS.names == [field.name for field in attrs.fields(SessionReport)]


def test_the_schema_of_a_class_has_only_its_columns_in_its_order() -> None:
    assert schema_of(Part) == pa.schema([SESSION_REPORTS.field(name) for name in columns_of(Part)])


def test_a_field_that_the_constructor_does_not_take_is_no_column() -> None:
    @attrs.define
    class Noted:
        session_id: int
        vehicle_id: str | None = attrs.field(default=None, init=False)

    assert schema_of(Noted).names == ["session_id"]


OPTIONAL_TEXT: Any = str | None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"converter": str}, "has a converter or a validator, which Arrow would not run"),
        ({"validator": attrs.validators.instance_of(str)}, "has a converter or a validator"),
        ({"default": "none"}, "has a default, which Arrow does not know"),
    ],
)
def test_what_arrow_would_do_otherwise_than_the_class_is_refused(
    options: dict[str, Any], message: str
) -> None:
    cls = attrs.make_class("Odd", {"vehicle_id": attrs.field(type=OPTIONAL_TEXT, **options)})
    with pytest.raises(ValueError, match=f"Odd.vehicle_id {message}"):
        schema_of(cls)


@pytest.mark.parametrize(
    ("name", "annotation"),
    [
        ("vehicle_id", str),  # not optional
        ("session_id", bytes),
        ("session_id", dict[str, int]),
        ("session_id", int | str),
        ("session_id", int | float | None),
        ("session_id", list[int | str]),
        ("session_id", object),
    ],
)
def test_a_field_of_another_type_is_a_value_error_that_names_it(name: str, annotation: Any) -> None:
    cls = attrs.make_class("Odd", {name: attrs.field(type=annotation)})

    with pytest.raises(ValueError, match=rf"Odd\.{name} has no Arrow type"):
        schema_of(cls)


def test_a_nested_field_of_another_type_is_named_by_its_own_class() -> None:
    inner = attrs.make_class("Inner", {"value": attrs.field(type=bytes)})
    outer = attrs.make_class("Outer", {"ocpp_status": attrs.field(type=list[inner])})  # type: ignore[valid-type]

    with pytest.raises(ValueError, match=r"Inner\.value has no Arrow type"):
        schema_of(outer)


async def test_a_class_without_fields_gives_no_batches_but_a_value_error(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    empty = attrs.make_class("Nothing", [])

    with pytest.raises(ValueError, match="Nothing has no fields"):
        await anext(record_batches(depot.session_reports(CHARGER, CONNECTOR, into=empty)))
    assert list(sandbox.requests) == []


# A walk.


async def test_the_batches_of_a_walk_hold_what_the_objects_hold(depot: DepotClient) -> None:
    reports = depot.session_reports(CHARGER, CONNECTOR)

    table = await table_of(reports)
    table.validate(full=True)

    assert table.num_rows == 75
    found = await asyncio.to_thread(session_reports_from, table)
    assert found == await reports.collect(max_items=1000)


async def test_a_walk_into_a_class_has_its_columns_with_the_same_values(
    depot: DepotClient,
) -> None:
    reports = depot.session_reports(CHARGER, CONNECTOR, into=Part)

    table = await table_of(reports)

    assert table.schema == schema_of(Part)
    found = await asyncio.to_thread(table.to_pylist)
    assert found == [attrs.asdict(report) for report in await reports.collect(max_items=1000)]


async def test_each_page_is_one_batch_of_the_declared_schema(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    reports = depot.session_reports(CHARGER, CONNECTOR, limit=20)

    batches = [batch async for batch in record_batches(reports)]

    assert all(batch.schema == SESSION_REPORTS for batch in batches)
    assert [ids_of(batch) for batch in batches] == [
        list(page.ids) async for page in reports.pages()
    ]
    assert batches[0].num_rows == 20
    ids = [number for batch in batches for number in ids_of(batch)]
    assert ids == sandbox.session_ids(CHARGER, CONNECTOR)


async def test_sessions_that_share_an_id_are_separate_rows() -> None:
    items = [
        {"sessionId": session_id, "sessionTimeStart": start, "vehicleId": vehicle}
        for session_id in (-1, 0)
        for start in ("2026-01-10T00:00:00Z", "2026-01-10T00:00:00.001Z", None)
        for vehicle in (["A", "B"] if start is None else ["A"])
    ]
    async with (
        Wire(default=served([*items, *items[:3]])) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        table = await table_of(depot.session_reports(CHARGER, CONNECTOR))
    assert table["session_id"].to_pylist() == [-1] * 4 + [0] * 4


async def test_an_empty_window_gives_no_batch() -> None:
    async with DepotSandbox(sessions=0, shape=SMALL) as sandbox, client_of(sandbox) as depot:
        table = await table_of(depot.session_reports(CHARGER, CONNECTOR))

    assert (table.num_rows, table.schema) == (0, SESSION_REPORTS)
    assert session_reports_from(table) == []


async def test_leaving_early_leaves_no_task_behind(
    sandbox: DepotSandbox, depot: DepotClient
) -> None:
    before = asyncio.all_tasks()
    reports = depot.session_reports(CHARGER, CONNECTOR, limit=5, read_ahead=5)

    async with aclosing(record_batches(reports)) as batches:
        assert (await anext(batches)).num_rows == 5

    assert [task for task in asyncio.all_tasks() - before if "fetch" in repr(task)] == []
    while sandbox.in_flight:
        await asyncio.sleep(0)


# The same objects again.


def test_other_columns_and_another_order_do_not_hinder_the_objects() -> None:
    batch = batch_of(page_of([render_one()]), SESSION_REPORTS)
    table = pa.Table.from_batches([batch])
    wider = table.select(SESSION_REPORTS.names[::-1]).append_column("window", pa.array(["2026-01"]))

    assert session_reports_from(wider) == session_reports_from(batch)


def test_a_column_that_is_missing_for_the_objects_is_a_value_error_that_names_it() -> None:
    batch = batch_of(page_of([render_one()]), SESSION_REPORTS)

    with pytest.raises(ValueError, match="there is no column vehicle_id, ocpp_status"):
        session_reports_from(batch.drop_columns(["ocpp_status", "vehicle_id"]))


# Both roads agree.


class Canned:
    """Transport that gives one answer to all requests."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def send(self, request: Request[Any]) -> Any:
        return request.decode(self._body)

    def retire_connections(self) -> None:
        """Do nothing: there are no connections."""


def columns_of(cls: type[Any]) -> list[str]:
    return [field.name for field in attrs.fields(cls)]


def render_one(session_id: int = 1) -> bytes:
    plan = simulate_sessions(1, CHARGER, CONNECTOR, 1, first_session_id=session_id)[0]
    return render(plan, SMALL)


def page_of(items: list[bytes], into: type[Any] = SessionReport) -> Page[Any]:
    """The page that a walk makes of these reports."""
    reports = SessionReports[Any](
        transport=cast(Transport, Canned(b'{"items": [%s]}' % b",".join(items))),
        structure=structurer_of(into),
        now=lambda: datetime.now(UTC),
        query=Query(CHARGER, CONNECTOR, None, None),
        limit=100,
        read_ahead=0,
        verify=False,
        resume=None,
    )

    async def first() -> Page[Any]:
        async with aclosing(reports.pages()) as pages:
            return await anext(pages)

    return asyncio.run(first())


def cut(value: Any) -> Any:
    """A report as plain values, its times cut to milliseconds."""
    if isinstance(value, dict):
        return {name: cut(member) for name, member in value.items()}
    if isinstance(value, list):
        return [cut(item) for item in value]
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value


def integers(value: Any) -> Iterator[int]:
    """All of a plain report's values of type int."""
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from integers(member)
    elif isinstance(value, int):
        yield value


def agree(items: list[bytes], into: type[Any] = SessionReport) -> str:
    """Check that Arrow and the objects agree on a page. Return their result in a word."""
    try:
        page = page_of(items, into)
    except ResponseError:
        return "no page"  # and so nothing to take either road with
    rows: list[dict[str, Any]] = []
    expected: SchemaError | None = None
    try:
        for report in page.reports:
            rows.append(attrs.asdict(report))
    except SchemaError as error:
        expected = error
    wide = [n for n, row in enumerate(rows) if any(it not in INT64 for it in integers(row))]
    if wide:
        with pytest.raises(SchemaError) as too_large:
            batch_of(page, schema_of(into))
        (problem,) = too_large.value.problems
        assert (
            problem
            == f"{page.paths[wide[0]]}: too large for its column: an integer of over 64 bits"
        )
        assert too_large.value.cursor == page.cursor_at(wide[0])
        return "too large"
    if expected is not None:
        with pytest.raises(SchemaError) as refused:
            batch_of(page, schema_of(into))
        assert refused.value.problems == expected.problems
        assert refused.value.cursor == expected.cursor == page.cursor_at(len(rows))
        return "refused"
    batch = batch_of(page, schema_of(into))
    batch.validate(full=True)
    assert batch.schema == schema_of(into)
    assert batch.to_pylist() == [cut(row) for row in rows]
    if into is SessionReport:
        assert [attrs.asdict(it) for it in session_reports_from(batch)] == batch.to_pylist()
    return "taken"


@attrs.frozen
class Literal:
    """JSON that stands as it is."""

    text: str


class Members(list[tuple[str, Any]]):
    """The members of a JSON object, of which two may share a name."""


Place: TypeAlias = tuple[list[Any], int]
"""A value within lists and `Members`."""


def places(tree: list[Any]) -> Iterator[Place]:
    """Every value below, each with where it stands."""
    for number, entry in enumerate(tree):
        yield tree, number
        value = entry[1] if isinstance(tree, Members) else entry
        if isinstance(value, list):
            yield from places(value)


def value_at(place: Place) -> Any:
    tree, number = place
    return tree[number][1] if isinstance(tree, Members) else tree[number]


def put(place: Place, value: Any) -> None:
    tree, number = place
    tree[number] = (tree[number][0], value) if isinstance(tree, Members) else value


@attrs.frozen
class Style:
    """How JSON is written: what stands between its parts, and what of it is escaped."""

    gap: str = ""
    ascii: bool = True
    keys_escaped: bool = False

    def text(self, value: Any) -> str:
        gap = self.gap
        if isinstance(value, Literal):
            return value.text
        if isinstance(value, Members):
            inner = [f"{self._key(name)}{gap}:{gap}{self.text(item)}" for name, item in value]
            return f"{{{gap}{f'{gap},{gap}'.join(inner)}{gap}}}"
        if isinstance(value, list):
            return f"[{gap}{f'{gap},{gap}'.join(map(self.text, value))}{gap}]"
        return json.dumps(value, ensure_ascii=self.ascii)

    def _key(self, name: str) -> str:
        if self.keys_escaped and name and name.isascii():
            return f'"\\u{ord(name[0]):04x}{json.dumps(name[1:])[1:]}'
        return json.dumps(name, ensure_ascii=self.ascii)


STYLES = st.builds(
    Style,
    gap=st.sampled_from(["", "", " ", "\n", "\r\n\t", "\n\n"]),
    ascii=st.booleans(),
    keys_escaped=st.booleans(),
)

TIME_TEXTS = {
    "2026-01-01": "refused",
    "2026-01-01T10Z": "refused",
    "2026-01-01T10:00Z": "refused",
    "2026-01-01T10:00:00": "refused",
    "2026-01-01 10:00:00": "refused",
    "2026-01-01T10:00:00Z": "taken",
    "2026-01-01 10:00:00Z": "taken",
    "2026-01-01t10:00:00z": "taken",
    "2026-01-01T10:00:00.1Z": "taken",
    "2026-01-01T10:00:00.12Z": "taken",
    "2026-01-01T10:00:00.1239Z": "taken",
    "2026-01-01T10:00:00.123999Z": "taken",
    "2026-01-01T10:00:00.123999999Z": "taken",
    "1969-12-31T23:59:59.999999Z": "taken",
    "2026-01-01T10:00:00.Z": "refused",
    "2026-01-01T10:00:00,123Z": "refused",
    "2026-01-01T10:00:00+01:00": "taken",
    "2026-01-01T10:00:00+0100": "taken",
    "2026-01-01T10:00:00-0930": "taken",
    "2026-01-01T10:00:00.123456+05:45": "taken",
    "2026-01-01T10:00:00-00:00": "taken",
    "2026-01-01T10:00:00+23:59": "taken",
    "2026-01-01T10:00:00+01": "refused",
    "2026-01-01T10:00:00+24:00": "refused",
    "2026-01-01T10:00:00+00:60": "refused",
    "2026-01-01T10:00:00 Z": "refused",
    "2026-01-01T10:00:00ZZ": "refused",
    "2026-01-01T10:00:00Z\n": "refused",
    "2026-01-01T10:00:00Z\x00": "refused",
    " 2026-01-01T10:00:00Z": "refused",
    "2026-01-01T24:00:00Z": "refused",
    "2026-01-01T23:59:60Z": "refused",
    "2026-12-31T23:59:60Z": "refused",
    "2026-01-01T10:60:00Z": "refused",
    "2024-02-29T00:00:00Z": "taken",
    "2026-02-29T00:00:00Z": "refused",
    "1900-02-29T00:00:00Z": "refused",
    "2026-13-01T00:00:00Z": "refused",
    "2026-00-10T00:00:00Z": "refused",
    "0000-01-01T00:00:00Z": "refused",
    "0000-12-31T23:59:59Z": "refused",
    "0000-12-31T23:30:00-01:00": "refused",
    "0001-01-01T00:00:00Z": "taken",
    "0001-01-01T00:00:00.000999Z": "taken",
    "0001-01-01T00:00:00-00:01": "taken",
    "0001-01-01T00:00:00+00:01": "refused",
    "9999-12-31T23:59:59.999Z": "taken",
    "9999-12-31T23:59:59.999999Z": "taken",
    "9999-12-31T23:59:59.999+00:01": "taken",
    "9999-12-31T23:59:59-00:01": "refused",
    "10000-01-01T00:00:00Z": "refused",
    "+2026-01-01T00:00:00Z": "refused",
    "٢026-01-01T00:00:00Z": "refused",
    "1767225600": "refused",
    "2026-01-01T10:00:00.1234567Z": "taken",
    "2026-01-01T10:00:00.1239994Z": "taken",
    "2026-01-01T10:00:00.1239995Z": "taken",
    "2026-01-01T10:00:00.12399949Z": "taken",
    "2026-01-01T10:00:00.9999999+01:00": "taken",
    "2026-12-31T23:59:59.9999999Z": "taken",
    "1969-12-31T23:59:59.9999995Z": "taken",
    "0001-01-01T00:00:00.9999999Z": "taken",
    "9999-12-31T23:59:59.9999994Z": "taken",
    "9999-12-31T23:59:59.9999995Z": "refused",
    "2026-01-01T10:00:00.%sZ" % ("9" * 100): "taken",
    "null": "refused",
    "": "taken",
    " ": "refused",
}

NUMBERS = {
    "0": "taken",
    "-0": "taken",
    "-0.0": "taken",
    "1.0": "taken",
    "1e3": "taken",
    "1E+3": "taken",
    "0.1": "taken",
    "9007199254740993": "taken",
    str(2**63 - 1): "taken",
    str(2**63): "taken",
    str(2**64): "taken",
    str(-(2**63) - 1): "taken",
    "123456789012345678901234567890": "taken",
    "3.14159265358979323846264338327950288": "taken",
    "1.7976931348623157e308": "taken",
    "5e-324": "taken",
    "1e-400": "taken",
    "1e400": "refused",
    "-1e400": "refused",
    "2e308": "refused",
    str(10**308): "taken",
    str(10**309): "refused",
    str(-(10**400)): "refused",
    f"{10**309}.5": "refused",
    str(2**1024 - 1): "refused",
    f"0.{'0' * 400}1": "taken",
    '"1"': "refused",
    "true": "refused",
    "NaN": "no page",
    "Infinity": "no page",
    "-Infinity": "no page",
    "01": "no page",
    ".5": "no page",
}

COUNTS = {
    "0": "taken",
    "-0": "taken",
    "1.0": "refused",
    "1e3": "refused",
    "1.5": "refused",
    str(2**63 - 1): "taken",
    str(-(2**63)): "taken",
    str(2**63): "too large",
    str(-(2**63) - 1): "too large",
    str(10**400): "too large",
    "1e300": "refused",
    "1e400": "refused",
    "true": "refused",
    '"1"': "refused",
}

ELSEWHERE = {
    "no id": ("{}", "refused"),
    "a null id": ('{"sessionId": null}', "refused"),
    "an id alone": ('{"sessionId": 1}', "taken"),
    "an id that is no int": ('{"sessionId": 1.0}', "refused"),
    "an id beyond 64 bits": (f'{{"sessionId": {2**63}}}', "too large"),
    "an id with an escaped name": ('{"session\\u0049d": 1}', "taken"),
    "an id that comes twice": ('{"sessionId": 1, "sessionId": 2}', "taken"),
    "an id that comes twice, once wrong": ('{"sessionId": 1, "sessionId": null}', "refused"),
    "a key that comes twice": ('{"sessionId": 1, "vehicleId": "a", "vehicleId": "b"}', "taken"),
    "a key that comes twice, then null": (
        '{"sessionId": 1, "vehicleId": "a", "vehicleId": null}',
        "taken",
    ),
    "a list that comes twice": (
        '{"sessionId": 1, "ocppStatus": [{"value": "a"}], "ocppStatus": []}',
        "taken",
    ),
    "a key that comes twice, first wrong": (
        '{"sessionId": 1, "vehicleId": 1, "vehicleId": "b"}',
        "refused",
    ),
    "an unknown key that comes twice": ('{"sessionId": 1, "x": 1, "x": "a"}', "taken"),
    "an unknown key with a huge number": ('{"sessionId": 1, "x": [1e999]}', "taken"),
    "an unknown key, nested deeply": (
        f'{{"sessionId": 1, "x": {"[" * 300}{"]" * 300}}}',
        "taken",
    ),
    "a snake_case key": ('{"sessionId": 1, "vehicle_id": 5}', "taken"),
    "a key in other letters": ('{"sessionId": 1, "VehicleID": 5}', "taken"),
    "a key with a NUL behind it": ('{"sessionId": 1, "vehicleId\\u0000": 5}', "taken"),
    "an empty key": ('{"sessionId": 1, "": 5}', "taken"),
    "an empty string": ('{"sessionId": 1, "vehicleId": ""}', "taken"),
    "a NUL": ('{"sessionId": 1, "vehicleId": "a\\u0000b"}', "taken"),
    "an escaped pair": ('{"sessionId": 1, "vehicleId": "\\ud83d\\ude00\\/"}', "taken"),
    "a lone surrogate": ('{"sessionId": 1, "vehicleId": "\\ud800"}', "refused"),
    "a lone surrogate that nobody asked for": ('{"sessionId": 1, "x": "\\udc00"}', "taken"),
    "a line end in a string": ('{"sessionId": 1, "vehicleId": "a\nb"}', "no page"),
    "line ends within": ('\n{\n"sessionId"\r\n:\n1\n,"vehicleId":\n"a"\n}\n', "taken"),
    "null lists": ('{"sessionId": 1, "ocppStatus": null, "sessionMeterValues": null}', "taken"),
    "null in a list": ('{"sessionId": 1, "ocppStatus": [{"value": "a"}, null]}', "refused"),
    "nothing but null in a list": ('{"sessionId": 1, "ocppStatus": [null]}', "refused"),
    "null in a list within a list": (
        '{"sessionId": 1, "deviceStatus": [{"errorCodes": [null]}]}',
        "refused",
    ),
    "a null list within a list": (
        '{"sessionId": 1, "deviceStatus": [{"errorCodes": null}, {}]}',
        "taken",
    ),
    "an event of nulls": (
        '{"sessionId": 1, "ocppStatus": [{"value": null, "eventTimestamp": null}, {}]}',
        "taken",
    ),
    "a list in a list": ('{"sessionId": 1, "ocppStatus": [[]]}', "refused"),
    "an object for a list": ('{"sessionId": 1, "ocppStatus": {}}', "refused"),
    "a list for an object": ('{"sessionId": 1, "batteryAlignmentResults": []}', "refused"),
    "an empty object": ('{"sessionId": 1, "batteryAlignmentResults": {}}', "taken"),
    "a flag that is a number": (
        '{"sessionId": 1, "batteryAlignmentResults": {"inRange": 1}}',
        "refused",
    ),
    "a flag that is a text": (
        '{"sessionId": 1, "batteryAlignmentResults": {"inRange": "true"}}',
        "refused",
    ),
}


@pytest.mark.parametrize(("text", "outcome"), TIME_TEXTS.items(), ids=map(ascii, TIME_TEXTS))
def test_both_roads_agree_on_a_time(text: str, outcome: str) -> None:
    value = json.dumps(text)
    report = f'{{"sessionId": 1, "sessionTimeStart": {value}}}'
    nested = f'{{"sessionId": 1, "sessionMeterValues": [{{}}, {{"eventTimestamp": {value}}}]}}'

    assert agree([report.encode()]) == agree([nested.encode()]) == outcome


@pytest.mark.parametrize(("text", "outcome"), NUMBERS.items(), ids=lambda it: it[:30])
def test_both_roads_agree_on_a_number(text: str, outcome: str) -> None:
    report = f'{{"sessionId": 1, "energySocStart": {text}}}'
    nested = f'{{"sessionId": 1, "sessionMeterValues": [{{}}, {{"value": {text}}}]}}'

    assert agree([report.encode()]) == agree([nested.encode()]) == outcome


@pytest.mark.parametrize(("text", "outcome"), COUNTS.items(), ids=lambda it: it[:30])
def test_both_roads_agree_on_a_count(text: str, outcome: str) -> None:
    report = f'{{"sessionId": 1, "deviceStatus": [{{"errorCodes": [{{"errorCounter": {text}}}]}}]}}'

    assert agree([report.encode()]) == outcome


@pytest.mark.parametrize(("report", "outcome"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_both_roads_agree_on(report: str, outcome: str) -> None:
    assert agree([report.encode()]) == outcome


def test_both_roads_agree_on_which_of_two_bad_reports_comes_first() -> None:
    good, bad = b'{"sessionId": 1}', b'{"sessionId": 2, "vehicleId": 2}'
    wide = b'{"sessionId": %d}' % 2**64

    assert agree([good, bad, wide]) == "refused"
    with pytest.raises(SchemaError, match=r"items\[1\]: too large for its column"):
        batch_of(page_of([good, wide, bad]), SESSION_REPORTS)


def test_both_roads_agree_on_a_report_that_comes_twice() -> None:
    start = b'"sessionTimeStart": "2026-01-01T10:00:00Z"'
    first = b'{"sessionId": 1, %s, "vehicleId": "a"}' % start
    again = b'{"sessionId": 1, %s, "vehicleId": "b"}' % start
    other_start = b'{"sessionId": 1, "vehicleId": "c"}'
    items = [first, again, other_start]

    assert agree(items) == "taken"
    batch = batch_of(page_of(items), SESSION_REPORTS)
    assert batch.column("vehicle_id").to_pylist() == ["a", "c"]


def moments() -> st.SearchStrategy[str]:
    offsets = st.integers(-1439, 1439).map(lambda n: timezone(timedelta(minutes=n)))
    fractions = st.from_regex(r"(\.[0-9]{1,12}|\.[0-9]{3}999[0-9]{1,3})?", fullmatch=True)
    return st.builds(
        lambda time, precision, letter, fraction: (
            time.isoformat(letter, precision)
            .replace("+00:00", "Z")
            .replace(".000", fraction if time.microsecond < 1000 else ".000")
        ),
        st.datetimes(timezones=offsets),
        st.sampled_from(["milliseconds", "seconds", "microseconds", "minutes", "hours"]),
        st.sampled_from(["T", "T", " ", "t"]),
        fractions,
    )


LIKE: dict[str, st.SearchStrategy[Any]] = {
    "time": st.sampled_from(sorted(TIME_TEXTS)) | moments(),
    "number": st.sampled_from(sorted(NUMBERS | COUNTS)).map(Literal)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
    "text": st.text(st.characters(), max_size=5) | st.sampled_from(["", "true", "1", "null"]),
    "flag": st.booleans(),
}
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.one_of(*LIKE.values()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(
            st.tuples(st.sampled_from(["value", "key", "eventTimestamp", "x"]), inner), max_size=3
        ).map(Members)
    ),
    max_leaves=5,
)


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "time" if value.endswith("Z") and value.startswith("20") else "text"
    return "other"


def replace_alike(draw: st.DrawFn, place: Place) -> None:
    put(place, draw(LIKE.get(kind_of(value_at(place)), st.none())))


def replace(draw: st.DrawFn, place: Place) -> None:
    put(place, draw(JUNK))


def put_null(draw: st.DrawFn, place: Place) -> None:
    put(place, None)


def put_in_list(draw: st.DrawFn, place: Place) -> None:
    put(place, [value_at(place), *draw(st.lists(JUNK, max_size=1))])


def drop(draw: st.DrawFn, place: Place) -> None:
    tree, number = place
    del tree[number]


def repeat(draw: st.DrawFn, place: Place) -> None:
    tree, number = place
    tree.append(tree[number])
    if draw(st.booleans()):
        put((tree, number), draw(JUNK))


def add(draw: st.DrawFn, place: Place) -> None:
    tree, number = place
    name = draw(st.sampled_from(["x", "vehicle_id", "", "energySocEnd", "eventTimestamp"]))
    tree.insert(number, (name, draw(JUNK)) if isinstance(tree, Members) else draw(JUNK))


MUTATIONS: list[Callable[[st.DrawFn, Place], None]] = [
    *[replace_alike] * 4,
    replace,
    put_null,
    put_in_list,
    drop,
    repeat,
    add,
]
KINDS = ["time", "number", "text", "flag", "other"]


@st.composite
def reports(draw: st.DrawFn, session_id: int) -> bytes:
    """A simulated report, with some of it changed."""
    tree = json.loads(render_one(session_id), object_pairs_hook=Members)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(KINDS))
        choice = [place for place in places(tree) if kind_of(value_at(place)) == kind]
        if choice:
            draw(st.sampled_from(MUTATIONS))(draw, draw(st.sampled_from(choice)))
    return draw(STYLES).text(tree).encode(errors="surrogatepass")


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(st.tuples(reports(1), reports(2)).map(list), st.sampled_from([SessionReport, Part]))
@example([render_one(1), render_one(2)], SessionReport)
@example([render_one(1), render_one(2)], Part)
def test_both_roads_agree_on_whatever_a_page_holds(items: list[bytes], into: type[Any]) -> None:
    event(agree(items, into))


@settings(max_examples=200, deadline=None)
@given(moments())
def test_both_roads_agree_on_any_moment(text: str) -> None:
    assert agree([b'{"sessionId": 1, "sessionTimeStart": "%s"}' % text.encode()]) != "no page"


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?(e[+-]?[0-9]{1,3})?", fullmatch=True))
def test_both_roads_agree_on_any_number(text: str) -> None:
    assert agree([b'{"sessionId": 1, "energySocStart": %s}' % text.encode()]) != "no page"


@pytest.mark.parametrize(
    "end", ["Z", "z", ".1Z", ".123456Z", ".1234567Z", ".9999999Z", ".123+01:00", "-00:00", "+0100"]
)
def test_no_object_is_built_for_any_form_of_time(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("depotclient.arrow._from_objects")
    plain = b'{"sessionId": 1, "sessionTimeStart": "2026-01-01T00:00:00.000Z"}'

    batch = batch_of(page_of([plain, plain.replace(b".000Z", end.encode())]), SESSION_REPORTS)

    assert batch.num_rows == 2


def test_a_page_with_an_odd_report_is_read_twice_and_gives_one_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = b'{"sessionId": 1000, "vehicleId": "a", "vehicleId": "b"}'
    items = [*(b'{"sessionId": %d}' % n for n in range(1000)), odd]
    reads: list[int] = []

    def counted(texts: list[bytes], *args: Any) -> pa.RecordBatch:
        reads.append(len(texts))
        return read(texts, *args)

    read = arrow._read
    monkeypatch.setattr(arrow, "_read", counted)
    batch = batch_of(page_of(items), SESSION_REPORTS)

    assert reads == [1001, 1001]
    assert ids_of(batch) == list(range(1001))
    assert batch["vehicle_id"].to_pylist()[-1] == "b"


@pytest.mark.parametrize("place", [0, 1, 6, 12])
def test_the_first_integer_that_is_too_large_ends_the_batch(place: int) -> None:
    items = [b'{"sessionId": %d}' % (n if n < place else 2**63 + n) for n in range(13)]
    page = page_of(items)

    with pytest.raises(SchemaError) as caught:
        batch_of(page, SESSION_REPORTS)

    assert (
        str(caught.value)
        == f"$.items[{place}]: too large for its column: an integer of over 64 bits"
    )
    assert caught.value.cursor == page.cursor_at(place)


def test_a_class_leaves_alone_what_it_has_no_field_for() -> None:
    items = [b'{"sessionId": 1, "energyChargeEnd": 5, "vehicleId": 7, "energySocEnd": "x"}']

    assert agree(items, Part) == "taken"
    assert agree(items) == "refused"


# Errors.


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (
            {"sessionMeterValues": [{"value": n} for n in range(17)] + [{"value": "x"}]},
            ".sessionMeterValues[17].value: expected float, got str",
        ),
        (
            {"deviceStatus": [{"errorCodes": [{}, None]}]},
            ".deviceStatus[0].errorCodes[1]: expected object, got null",
        ),
        ({"sessionId": "7c1d"}, ".sessionId: expected int, got str"),
        ({"sessionId": None}, ".sessionId: expected int, got null"),
        ({"sessionId": 5.0}, ".sessionId: expected int, got float"),
        ({"vehicleId": "BUS-\ud83d"}, ": half of a surrogate pair in a string"),
        ({"sessionId": 2**63}, ": too large for its column: an integer of over 64 bits"),
    ],
    ids=["float", "null", "id", "no id", "decimal id", "surrogate", "large id"],
)
@pytest.mark.parametrize("place", [0, 3, 5, 8])
async def test_a_walk_that_ends_with_an_error_goes_on_from_its_cursor_without_a_loss(
    place: int, bad: dict[str, Any], problem: str
) -> None:
    items: list[dict[str, Any]] = [{"sessionId": n} for n in range(12)]
    found: list[int] = []
    async with (
        Wire(default=served(items)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        reports = depot.session_reports("A", 1, limit=5)
        (page,) = [page async for page in reports.pages() if place in page.ids]
        path = page.paths[page.ids.index(place)]
        items[place] = {"sessionId": place} | bad
        with pytest.raises(SchemaError) as caught:
            async for batch in record_batches(reports):
                found += ids_of(batch)
        assert caught.value.problems == (f"{path}{problem}",)
        assert caught.value.cursor is not None
        assert caught.value.cursor.offset == place
        assert found == list(range(place))
        items[place] = {"sessionId": place}
        resumed = depot.session_reports("A", 1, limit=5, resume=str(caught.value.cursor))
        async for batch in record_batches(resumed):
            found += ids_of(batch)

    assert found == list(range(12))


# What others make of it.


@pytest.fixture
def sessions() -> pa.Table:
    async def walk() -> pa.Table:
        async with DepotSandbox(sessions=30, shape=SMALL) as sandbox, client_of(sandbox) as depot:
            return await table_of(depot.session_reports(CHARGER, CONNECTOR))

    return asyncio.run(walk())


def energy_of(table: pa.Table) -> float:
    return sum(
        report.energy_charge_end - report.energy_charge_start
        for report in session_reports_from(table)
        if report.energy_charge_end is not None and report.energy_charge_start is not None
    )


def test_pandas_takes_a_table(sessions: pa.Table) -> None:
    pytest.importorskip("pandas")

    frame = sessions.to_pandas()

    assert len(frame) == sessions.num_rows
    assert (frame.energy_charge_end - frame.energy_charge_start).sum() == energy_of(sessions)
    assert str(frame.session_time_start.dt.tz) == "UTC"


def test_polars_takes_a_table(sessions: pa.Table) -> None:
    polars = pytest.importorskip("polars")

    frame = polars.from_arrow(sessions)

    assert frame.height == sessions.num_rows
    charged = frame["energy_charge_end"] - frame["energy_charge_start"]
    assert charged.sum() == energy_of(sessions)
    assert frame["session_meter_values"].list.len().sum() == 4 * sessions.num_rows
    assert frame.to_arrow().cast(SESSION_REPORTS) == sessions


def test_duckdb_takes_a_table(sessions: pa.Table) -> None:
    duckdb = pytest.importorskip("duckdb")

    figures = "count(*), sum(energy_charge_end - energy_charge_start), sum(len(ocpp_status))"
    (found,) = duckdb.sql(f"select {figures} from sessions").fetchall()  # noqa: S608

    events = sum(len(report.ocpp_status) for report in session_reports_from(sessions))
    assert found == (sessions.num_rows, energy_of(sessions), events)
    assert len(duckdb.from_arrow(sessions)) == sessions.num_rows


# What is loaded.


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603


def test_without_pyarrow_the_module_says_what_to_install() -> None:
    done = run("import sys; sys.modules['pyarrow'] = None; import depotclient.arrow")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: depotclient.arrow needs pyarrow: pip install 'thor-depot-clients[arrow]'"
    )


@pytest.mark.parametrize("module", ["depotclient", "depotclient.__main__"])
def test_the_client_itself_loads_no_pyarrow(module: str) -> None:
    done = run(f"import sys, {module}; sys.exit('pyarrow' in sys.modules)")

    assert (done.returncode, done.stderr) == (0, "")
