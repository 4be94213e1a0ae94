"""Exports of session reports: complete, once each, in whole files only, whatever happens."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest

from depotclient import (
    DepotClient,
    NotFoundError,
    RetryPolicy,
    SchemaError,
    ServerError,
)
from depotclient.export import ConnectorExport, export_session_reports
from depotclient.export.layout import FORMATS, STAGING, Format
from depotclient.export.manifest import Manifest
from depotclient.partitions import Connector
from depotclient.sandbox import DepotSandbox, Fault, ReportShape, TimeFilter
from tests.support.blocking import no_blocking
from tests.support.pages import query_of, served
from tests.support.wire import Received, Script, Wire

pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")

import pandas as pd  # noqa: E402
import polars as pl  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import depotclient.export.parquet  # noqa: E402
from depotclient.arrow import SESSION_REPORTS, session_reports_from  # noqa: E402

SMALL = ReportShape.small()
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ALL: tuple[Connector, ...] = (("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1"))
ONE = ALL[:1]


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Only the library is watched here: the tests look into files all the time."""
    with no_blocking(["depotclient", "evtransport"]):
        yield


def client_of(sandbox: DepotSandbox, **options: Any) -> DepotClient:
    client = DepotClient(token=sandbox.token, base_url=sandbox.base_url, **options)
    client.now = lambda: NOW
    return client


@pytest.fixture
async def sandbox() -> AsyncIterator[DepotSandbox]:
    async with DepotSandbox(shape=SMALL) as running:
        yield running


@pytest.fixture
async def depot(sandbox: DepotSandbox) -> AsyncIterator[DepotClient]:
    async with client_of(sandbox) as client:
        yield client


def files(folder: Path) -> dict[str, bytes]:
    """All files but what is aside, by their path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and STAGING not in path.parts
    }


def aside(folder: Path) -> list[Path]:
    return list((folder / STAGING).iterdir())


def ids_in(folder: Path) -> Counter[int]:
    found: Counter[int] = Counter()
    for path in folder.rglob("reports.*"):
        if path.suffix == ".parquet":
            rows = pq.ParquetFile(path).read(["session_id"]).to_pylist()
            found.update(row["session_id"] for row in rows)
        elif path.suffix == ".ndjson":
            lines = path.read_bytes().splitlines()
            found.update(msgspec.json.decode(line)["sessionId"] for line in lines)
    return found


def truth(sandbox: DepotSandbox, connectors: Sequence[Connector] = ALL) -> Counter[int]:
    return Counter(
        session_id
        for charger, connector in connectors
        for session_id in sandbox.session_ids(charger, str(connector))
    )


# What is written.


@pytest.mark.parametrize("format_", FORMATS)
async def test_every_report_is_in_the_file_of_its_connector_and_month(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    export = await export_session_reports(depot, ALL, tmp_path, from_=BEGIN, to=END, format=format_)
    assert export.failed == ()
    assert [(it.written, it.skipped, it.reports) for it in export.connectors] == [(1, 0, 60)] * 3
    assert ids_in(tmp_path) == truth(sandbox)
    assert [name for name in files(tmp_path) if not name.endswith(".json")] == [
        f"charger_id={charger}/connector_id={connector}/month=2026-01/reports.{format_}"
        for charger, connector in ALL
    ]
    assert aside(tmp_path) == []


async def test_the_rows_of_a_file_are_the_objects(depot: DepotClient, tmp_path: Path) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    (file,) = tmp_path.rglob("*.parquet")
    table = pq.ParquetFile(file).read()
    assert table.schema.equals(SESSION_REPORTS)
    objects = await depot.session_reports(*ONE[0]).collect(max_items=1000)
    assert await asyncio.to_thread(session_reports_from, table) == objects


@pytest.mark.parametrize("gap", [b"", b"\r\n"])
async def test_lines_keep_the_bytes_of_names_with_lone_surrogates(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, gap: bytes
) -> None:
    start = b'"sessionTimeStart": "2026-01-02T00:00:00Z"'
    odd = b'{"sessionId": 7, "vehicleId": "BUS-\\ud83d", %s%s}' % (gap, start)
    sandbox.insert(*ONE[0], odd)

    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson")

    (file,) = tmp_path.rglob("*.ndjson")
    assert odd.replace(gap, b" " * (gap != b"")) in file.read_bytes().splitlines()


async def test_lines_are_the_vendors_own_bytes(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson")
    (file,) = tmp_path.rglob("*.ndjson")
    assert file.read_bytes().splitlines() == sandbox.reports("CP-001", "1")


async def test_a_file_knows_what_it_holds(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    for format_ in FORMATS:
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format=format_)
    (rows,), (beside,) = tmp_path.rglob("*.parquet"), tmp_path.rglob("*.json")
    metadata = pq.read_metadata(rows).metadata or {}
    texts = [metadata[b"depotclient.export"], beside.read_bytes()]
    for text in texts:
        record = msgspec.json.decode(text, type=Manifest)
        assert (record.charger_id, record.connector_id, record.window) == ("CP-001", "1", "2026-01")
        assert record.from_ == "2025-12-31T00:00:00.000Z"
        assert record.to == "2026-02-02T00:00:00.000Z"
        assert (record.reports, record.missing_start, record.verify) == (60, {}, False)
        assert record.bytes_read > 60 * 1000
        assert record.read_at == NOW
        assert re.fullmatch(r"thor-depot-clients \d+\.\d+\.\d+.*", record.library)
        assert sandbox.token.encode() not in text


async def test_a_window_without_reports_has_a_file_without_rows(
    depot: DepotClient, tmp_path: Path
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=END, to=END + timedelta(days=1))
    (file,) = tmp_path.rglob("*.parquet")
    table = pq.ParquetFile(file).read()
    assert (table.num_rows, table.schema.equals(SESSION_REPORTS)) == (0, True)


async def test_a_file_has_the_mode_of_any_other(depot: DepotClient, tmp_path: Path) -> None:
    for format_ in FORMATS:
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format=format_)
    (tmp_path / "other").touch()
    modes = {file.stat().st_mode for file in tmp_path.rglob("*") if file.is_file()}
    assert modes == {(tmp_path / "other").stat().st_mode}


async def test_rows_are_written_in_groups_as_the_pages_come(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depotclient.export.parquet, "ROW_GROUP_BYTES", 20_000)
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    (file,) = tmp_path.rglob("*.parquet")
    assert pq.read_metadata(file).num_row_groups > 1
    assert ids_in(tmp_path).total() == 60
    objects = await depot.session_reports(*ONE[0]).collect(max_items=60)
    for place in (0, 59):
        wanted = objects[place].session_id
        report, _ = await asyncio.to_thread(depotclient.export.parquet.read_session, file, wanted)
        assert report == objects[place]
    missing, ids = await asyncio.to_thread(depotclient.export.parquet.read_session, file, 7)
    assert (missing, len(ids)) == (None, 60)


@pytest.mark.parametrize("charger", ["CP/1", "a=b&c", "%2F", "ladesäule ⚡", "..", "con'"])
async def test_ids_of_any_kind_make_folders_that_readers_understand(
    tmp_path: Path, charger: str
) -> None:
    async with (
        DepotSandbox(chargers={charger: ["x/y"]}, sessions=3, shape=SMALL) as sandbox,
        client_of(sandbox) as depot,
    ):
        await export_session_reports(depot, [(charger, "x/y")], tmp_path, from_=BEGIN, to=END)
    (row, *_) = ds.dataset(tmp_path, partitioning="hive").to_table().to_pylist()
    assert (row["charger_id"], row["connector_id"]) == (charger, "x/y")
    pattern = f"{tmp_path}/**/*.parquet"
    found = await asyncio.to_thread(
        lambda: duckdb.sql(f"from '{pattern}' select distinct charger_id, connector_id").fetchall()
    )
    assert found == [(charger, "x/y")]


# Readers.

ENERGY = """
    select vehicle_id, month, sum(energy_charge_end - energy_charge_start) as wh
    from read_parquet('{}/**/*.parquet', hive_partitioning = true)
    group by all order by all
"""

EnergyRows = list[tuple[str | None, str, float]]


def by_duckdb(folder: Path) -> EnergyRows:
    rows: EnergyRows = duckdb.sql(ENERGY.format(folder)).fetchall()
    return rows


def by_polars(folder: Path) -> EnergyRows:
    frame = pl.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=True)
    wh = (pl.col("energy_charge_end") - pl.col("energy_charge_start")).sum()
    return frame.group_by("vehicle_id", "month").agg(wh).sort("vehicle_id", "month").rows()


def by_pandas(folder: Path) -> EnergyRows:
    frame = pd.read_parquet(folder)
    frame["wh"] = frame["energy_charge_end"] - frame["energy_charge_start"]
    sums = frame.groupby(["vehicle_id", "month"], observed=True)["wh"].sum().reset_index()
    return sorted(zip(sums["vehicle_id"], sums["month"].astype(str), sums["wh"], strict=True))


def by_pyarrow(folder: Path) -> EnergyRows:
    table = ds.dataset(folder, partitioning="hive").to_table()
    wh = pa.compute.subtract(table["energy_charge_end"], table["energy_charge_start"])
    sums = (
        table.append_column("wh", wh).group_by(["vehicle_id", "month"]).aggregate([("wh", "sum")])
    )
    return sorted((row["vehicle_id"], row["month"], row["wh_sum"]) for row in sums.to_pylist())


@pytest.mark.parametrize("read", [by_duckdb, by_polars, by_pandas, by_pyarrow])
async def test_a_query_over_the_files_equals_the_same_over_the_objects(
    tmp_path: Path, read: Callable[[Path], EnergyRows]
) -> None:
    begin = datetime(2025, 12, 20, tzinfo=UTC)
    async with (
        DepotSandbox(sessions=200, shape=SMALL, start=begin) as sandbox,
        client_of(sandbox) as depot,
    ):
        await export_session_reports(
            depot, ALL, tmp_path, from_=datetime(2025, 10, 1, tzinfo=UTC), to=NOW
        )
        sums: dict[tuple[str | None, str], float] = {}
        for connector in ALL:
            async for it in depot.session_reports(*connector):
                assert it.session_time_start is not None
                assert it.energy_charge_start is not None
                assert it.energy_charge_end is not None
                key = it.vehicle_id, f"{it.session_time_start:%Y-%m}"
                sums[key] = sums.get(key, 0) + it.energy_charge_end - it.energy_charge_start
    found = await asyncio.to_thread(read, tmp_path)
    assert {(vehicle, month): wh for vehicle, month, wh in found} == pytest.approx(sums)
    assert len({month for _, month, _ in found}) > 1


# Windows.


@pytest.mark.parametrize(
    ("time_filter", "inclusive"), list(product(["start", "end", "overlap"], [True, False]))
)
async def test_no_boundary_loses_or_doubles_a_session_whatever_the_server_tests(
    tmp_path: Path, time_filter: TimeFilter, inclusive: bool
) -> None:
    settings: dict[str, Any] = {"time_filter": time_filter, "inclusive": inclusive}
    midnight = datetime(2026, 1, 3, tzinfo=UTC)
    async with (
        # The first begins on the stroke of midnight, and some last over one.
        DepotSandbox(sessions=60, shape=SMALL, start=midnight, cluster=2, **settings) as sandbox,
        client_of(sandbox) as depot,
    ):
        await export_session_reports(depot, ALL, tmp_path, from_=BEGIN, to=END, window="day")
        assert ids_in(tmp_path) == truth(sandbox)
        for file in tmp_path.rglob("*.parquet"):
            day = file.parent.name.removeprefix("day=")
            starts = pq.ParquetFile(file).read()["session_time_start"].to_pylist()
            assert {f"{start:%Y-%m-%d}" for start in starts} <= {day}


async def test_a_window_that_is_over_is_not_asked_for_again(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    for format_ in FORMATS:
        await export_session_reports(depot, ALL, tmp_path, from_=BEGIN, to=END, format=format_)
        before, asked = files(tmp_path), len(sandbox.requests)
        again = await export_session_reports(
            depot, ALL, tmp_path, from_=BEGIN, to=END, format=format_
        )
        assert [(it.written, it.skipped, it.reports) for it in again.connectors] == [(0, 1, 0)] * 3
        assert len(sandbox.requests) == asked
        assert files(tmp_path) == before


async def test_a_window_that_was_not_verified_is_read_again_to_be(
    depot: DepotClient, tmp_path: Path
) -> None:
    written = []
    for verify in (False, True, True, False):
        export = await export_session_reports(
            depot, ONE, tmp_path, from_=BEGIN, to=END, verify=verify
        )
        written.append(export.connectors[0].written)
    assert written == [1, 1, 0, 0]


async def test_a_window_that_was_read_with_less_of_a_margin_is_read_again(tmp_path: Path) -> None:
    last_minutes = END - timedelta(minutes=5)
    async with (
        DepotSandbox(shape=SMALL, sessions=1, start=last_minutes, time_filter="end") as sandbox,
        client_of(sandbox) as depot,
    ):
        found = []
        for days in (0, 1, 1, 0):
            export = await export_session_reports(
                depot, ONE, tmp_path, from_=BEGIN, to=END, margin=timedelta(days=days)
            )
            found.append((export.connectors[0].written, ids_in(tmp_path).total()))
    assert found == [(1, 0), (1, 1), (0, 1), (0, 1)]


async def test_what_a_clock_that_was_ahead_took_for_settled_is_read_again(
    depot: DepotClient, tmp_path: Path
) -> None:
    written = []
    for now in (datetime(2027, 1, 1, tzinfo=UTC), NOW, NOW):
        depot.now = lambda now=now: now  # type: ignore[misc]
        export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
        written.append(export.connectors[0].written)
    assert written == [1, 1, 0]


async def test_a_window_that_touches_the_present_is_written_again_until_it_has_settled(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    times = [
        datetime(2026, 1, 2, tzinfo=UTC),  # in the middle
        datetime(2026, 2, 1, 23, 59, tzinfo=UTC),  # over, and not for a day yet
        datetime(2026, 2, 2, tzinfo=UTC),  # for a day
        datetime(2026, 2, 2, 1, tzinfo=UTC),
    ]
    written, rows = [], []
    for now in times:
        depot.now = lambda now=now: now  # type: ignore[misc]
        export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
        written.append(export.connectors[0].written)
        rows.append(ids_in(tmp_path).total())
    assert written == [1, 1, 1, 0]
    assert 0 < rows[0] < rows[1] == rows[2] == 60
    tos = [request.query["to"] for request in sandbox.requests if request.query["page"] == "1"]
    assert tos[0] == "2026-01-02T00:00:00.000Z", "nothing is asked of the future"


async def test_months_that_have_not_begun_have_no_file(depot: DepotClient, tmp_path: Path) -> None:
    year = datetime(2027, 1, 1, tzinfo=UTC)
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=year)
    months = sorted(file.parent.name for file in tmp_path.rglob("*.parquet"))
    assert months == ["month=2026-01", "month=2026-02", "month=2026-03"]


Item = dict[str, object]


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_report_without_a_start_is_kept_in_one_window_only(
    tmp_path: Path, format_: Format
) -> None:
    items: list[Item] = [
        {"sessionId": 1, "sessionTimeStart": "2026-01-10T00:00:00.000Z"},
        {"sessionId": 2, "sessionTimeStart": None},
        {"sessionId": 3},
        {"sessionId": 4, "sessionTimeStart": "2026-02-10T00:00:00.000Z"},
    ]
    async with (
        Wire(default=served(items)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 2, 20, tzinfo=UTC)
        for _ in range(2):  # February is written again
            await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
            assert ids_in(tmp_path) == Counter([1, 2, 3, 4])


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_report_that_gets_its_start_later_moves_to_the_window_of_that(
    tmp_path: Path, format_: Format
) -> None:
    items: list[Item] = [
        {"sessionId": 1, "sessionTimeStart": "2026-01-10T00:00:00.000Z"},
        {"sessionId": 2},
    ]
    async with (
        Wire(default=served(items)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 2, 20, tzinfo=UTC)
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
        items[1]["sessionTimeStart"] = "2026-02-01T10:00:00.000Z"
        export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
        assert (export.connectors[0].written, export.connectors[0].skipped) == (2, 1)
        assert ids_in(tmp_path) == Counter([1, 2])
        (february,) = tmp_path.rglob("month=2026-02")
        assert ids_in(february) == Counter([2])


async def test_a_session_that_comes_twice_is_written_once(tmp_path: Path) -> None:
    rows: list[Item] = [
        {"sessionId": n, "sessionTimeStart": "2026-01-10T00:00:00.000Z"} for n in range(40)
    ]
    items = [*rows, *rows[:3], {**rows[0], "sessionId": 99}]
    async with (
        Wire(default=served(items)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: NOW
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    assert ids_in(tmp_path) == Counter([*range(40), 99])


Months = dict[str, list[Item]]


def served_by_month(months: Months) -> Script:
    """Return a script that answers with the reports of the requested month."""

    async def play(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        begin = datetime.fromisoformat(query_of(request)["from"]) + timedelta(days=1)
        await served(months.get(f"{begin:%Y-%m}", []))(request, reader, writer)

    return play


def lines_in(folder: Path) -> dict[str, list[tuple[int | None, str | None]]]:
    """Return session id and vehicle of the reports of each month, in order."""
    found: dict[str, list[tuple[int | None, str | None]]] = {}
    for path in folder.rglob("reports.*"):
        if path.suffix == ".parquet":
            table = pq.ParquetFile(path).read(["session_id", "vehicle_id"])
            rows = [*zip(*(column.to_pylist() for column in table.columns), strict=True)]
        else:
            reports = map(msgspec.json.decode, path.read_bytes().splitlines())
            rows = [(it.get("sessionId"), it.get("vehicleId")) for it in reports]
        found[path.parent.name.removeprefix("month=")] = sorted(rows, key=repr)
    return found


@pytest.mark.parametrize("format_", FORMATS)
async def test_each_session_that_shares_an_id_is_written_once(
    tmp_path: Path, format_: Format
) -> None:
    items: list[Item] = [
        {"sessionId": session_id, "sessionTimeStart": f"2026-{start}Z", "vehicleId": vehicle}
        for session_id in (-1, 0, 7)
        for start, vehicle in [
            *(("01-10T00:00:00", "A"), ("01-10T00:00:00.001", "B"), ("02-10T00:00:00", "C")),
        ]
    ]
    items += [{"sessionId": -1, "vehicleId": vehicle} for vehicle in ("D", "E")]
    async with (
        Wire(default=served([*items, *items[:3]])) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 2, 20, tzinfo=UTC)
        for _ in range(2):  # February is written again
            await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
            assert lines_in(tmp_path) == {
                "2026-01": [*((-1, name) for name in "ABDE"), *product([0, 7], "AB")],
                "2026-02": [(-1, "C"), (0, "C"), (7, "C")],
            }


async def test_each_report_without_a_valid_id_is_written_as_one_line(tmp_path: Path) -> None:
    items: list[Item] = [
        {"sessionId": bad, "vehicleId": vehicle, "sessionTimeStart": start}
        for bad in (None, "7c1d", 5.0)
        for vehicle in ("A", "B")
        for start in ("2026-01-10T00:00:00Z", None)
    ]
    async with (
        Wire(default=served([*items, {"vehicleId": "C"}, *items[:2]])) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 2, 20, tzinfo=UTC)
        for _ in range(2):
            export = await export_session_reports(
                depot, ONE, tmp_path, from_=BEGIN, format="ndjson"
            )
            assert export.failed == ()
            texts = b"".join(file.read_bytes() for file in tmp_path.rglob("*.ndjson"))
            found = sorted(map(msgspec.json.decode, texts.splitlines()), key=repr)
            assert found == sorted([*items, {"vehicleId": "C"}], key=repr)


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_report_without_a_start_that_changes_is_moved_and_not_duplicated(
    tmp_path: Path, format_: Format
) -> None:
    items: list[Item] = [{"sessionId": 2, "vehicleId": "A"}, {"sessionId": 3, "vehicleId": "B"}]
    async with (
        Wire(default=served(items)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 2, 20, tzinfo=UTC)
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
        assert lines_in(tmp_path) == {"2026-01": [(2, "A"), (3, "B")], "2026-02": []}
        items[0]["vehicleId"] = "C"
        for written in (2, 1):
            export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
            assert export.connectors[0].written == written
            assert lines_in(tmp_path) == {"2026-01": [(3, "B")], "2026-02": [(2, "C")]}


@pytest.mark.parametrize("format_", FORMATS)
async def test_windows_whose_reports_share_an_id_supersede_each_other_once_a_run(
    tmp_path: Path, format_: Format
) -> None:
    starts = {"2026-01": "2026-01-10T00:00:00Z", "2026-02": "2026-02-10T00:00:00Z"}
    months: Months = {
        month: [
            {"sessionId": -1, "vehicleId": "with", "sessionTimeStart": start},
            {"sessionId": -1, "vehicleId": f"without {month}"},
        ]
        for month, start in starts.items()
    }
    async with (
        Wire(default=served_by_month(months)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 2, 20, tzinfo=UTC)
        for skipped in (0, 1):  # January is settled, but read again
            export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
            (one,) = export.connectors
            assert (one.error, one.skipped, one.is_over) == (None, skipped, True)
            assert one.written <= 4
            assert lines_in(tmp_path) == {
                month: [(-1, "with"), (-1, f"without {month}")] for month in months
            }


@pytest.mark.parametrize("format_", FORMATS)
async def test_an_id_that_is_used_again_months_later_supersedes_nothing(
    tmp_path: Path, format_: Format
) -> None:
    months: Months = {"2026-01": [{"sessionId": -1, "vehicleId": "A"}], "2026-04": []}
    async with (
        Wire(default=served_by_month(months)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 4, 20, tzinfo=UTC)
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
        months["2026-01"] = []  # too old for the server
        months["2026-04"] = [
            {"sessionId": -1, "vehicleId": "B", "sessionTimeStart": "2026-04-10T00:00:00Z"}
        ]
        export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, format=format_)
    assert (export.connectors[0].error, export.connectors[0].skipped) == (None, 3)
    found = lines_in(tmp_path)
    assert (found["2026-01"], found["2026-04"]) == ([(-1, "A")], [(-1, "B")])


async def test_a_second_reading_keeps_a_file_if_the_server_has_fewer_reports(
    tmp_path: Path,
) -> None:
    months: Months = {
        "2026-01": [{"sessionId": n, "vehicleId": "A"} for n in range(5)],
        "2026-02": [],
    }
    async with (
        Wire(default=served_by_month(months)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: datetime(2026, 2, 20, tzinfo=UTC)
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN)
        months["2026-01"] = months["2026-01"][2:]
        months["2026-02"] = [{"sessionId": 0, "sessionTimeStart": "2026-02-10T00:00:00Z"}]
        export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN)
    assert "holds 4 reports and the server has 3 now: it is kept" in str(export.connectors[0].error)
    assert lines_in(tmp_path)["2026-01"] == [(n, "A") for n in range(5)]


# Failures.


async def test_a_connector_that_fails_does_not_stop_the_others(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    export = await export_session_reports(
        depot, [ALL[0], ("CP-404", "1"), ALL[2]], tmp_path, from_=BEGIN, to=END, concurrency=1
    )
    (failed,) = export.failed
    assert (failed.charger_id, type(failed.error)) == ("CP-404", NotFoundError)
    assert [it.error is None for it in export.connectors] == [True, False, True]
    assert ids_in(tmp_path) == truth(sandbox, [ALL[0], ALL[2]])
    assert aside(tmp_path) == []


async def test_after_an_outage_the_same_call_goes_on(tmp_path: Path) -> None:
    # One failure of a larger limit is absorbed: the walk goes on with the limit before.
    outage = [Fault.status(503)] * 2
    faults = [None, *outage, *[None] * 8, *outage]
    async with (
        DepotSandbox(shape=SMALL, faults=faults) as sandbox,
        client_of(sandbox, retry=RetryPolicy(attempts=1)) as depot,
    ):
        outcomes = []
        for _ in range(3):
            export = await export_session_reports(
                depot, ONE, tmp_path, from_=BEGIN, to=END, window="day"
            )
            outcomes.append(type(export.connectors[0].error))
        assert outcomes == [ServerError, ServerError, type(None)]
        assert ids_in(tmp_path) == truth(sandbox, ONE)


async def test_a_value_of_the_wrong_type_is_named_and_nothing_of_its_window_written(
    tmp_path: Path,
) -> None:
    items: list[Item] = [
        {"sessionId": 1, "sessionTimeStart": "2026-01-10T00:00:00.000Z"},
        {"sessionId": 2, "sessionMeterValues": [{"value": 1.5}, {"value": "1.5"}]},
    ]
    async with (
        Wire(default=served(items)) as wire,
        DepotClient(token="t0k3n", base_url=wire.url) as depot,
    ):
        depot.now = lambda: NOW
        export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    (one,) = export.connectors
    assert isinstance(one.error, SchemaError)
    problem = "$.items[1].sessionMeterValues[1].value: expected float, got str"
    assert one.error.problems == (problem,)
    assert one.error.__notes__ == ["session 2", "window 2026-01"]
    assert (one.missing, one.is_over) == (1, True)
    assert files(tmp_path) == {}


async def test_a_full_disk_fails_with_its_reason_and_leaves_whole_files(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    before = files(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("depotclient.atomic.os.fsync", full)
    export = await export_session_reports(depot, ALL, tmp_path, from_=BEGIN, to=END)
    assert len(export.failed) == 2, "the first connector's file is settled"
    assert all("No space left" in str(it.error) for it in export.failed)
    assert files(tmp_path) == before
    assert aside(tmp_path) == []


FILLED = """
import asyncio, resource, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from tests.promises.export_child import main
# Where the disk would be full: no file may grow further.
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
asyncio.run(main(Path({folder!r}), {format_!r}, ["1", "2"]))
"""


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_can_grow_no_further_is_not_left_in_part(
    tmp_path: Path, format_: Format
) -> None:
    from evtransport.testing.sandbox import running_in_thread

    sandbox = DepotSandbox(
        shape=ReportShape(meter_values=400, charge_parameters=4, detail_states=4, device_states=2)
    )
    code = FILLED.format(paths=["tests"], folder=str(tmp_path), format_=format_)
    with running_in_thread(sandbox):
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", code],
            env={**os.environ, **sandbox.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "File too large" in done.stderr, done.stderr
    assert "AssertionError" in done.stderr, "the child asserts that nothing has failed"
    assert not ids_in(tmp_path) - truth(sandbox)
    assert aside(tmp_path) == []


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_file_of_another_version_is_neither_read_nor_replaced(
    depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format=format_)
    if format_ == "parquet":
        (file,) = tmp_path.rglob("*.parquet")
        pq.write_table(
            pa.table({"a": [1]}).replace_schema_metadata({"depotclient.export": '{"version": 7}'}),
            file,
        )
    else:
        (file,) = tmp_path.rglob("*.json")
        file.write_text('{"version": 7}')
    before = files(tmp_path)
    export = await export_session_reports(depot, ALL, tmp_path, from_=BEGIN, format=format_)
    (failed,) = export.failed
    assert isinstance(failed.error, FileExistsError)
    assert "was not written by an export of this version: move it away" in str(failed.error)
    assert files(tmp_path).items() >= before.items()


@pytest.mark.parametrize("text", ["{", '{"version": 1}', '{"version": "1"}'])
async def test_a_record_that_can_not_be_read_is_no_record(
    depot: DepotClient, tmp_path: Path, text: str
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson")
    (beside,) = tmp_path.rglob("*.json")
    beside.write_text(text)
    export = await export_session_reports(
        depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson"
    )
    assert "was not written by an export" in str(export.connectors[0].error)


@pytest.mark.parametrize("change", [b"{}\n", b""])
async def test_lines_that_their_record_does_not_know_are_read_again(
    depot: DepotClient, tmp_path: Path, change: bytes
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson")
    before = files(tmp_path)
    (lines,) = tmp_path.rglob("*.ndjson")
    lines.write_bytes(lines.read_bytes() + change if change else lines.read_bytes()[:-9])
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson")
    assert files(tmp_path) == before


async def test_lines_of_somebody_else_are_not_replaced(depot: DepotClient, tmp_path: Path) -> None:
    file = tmp_path / "charger_id=CP-001/connector_id=1/month=2026-01/reports.ndjson"
    file.parent.mkdir(parents=True)
    file.write_text("my precious\n")
    before = files(tmp_path)
    export = await export_session_reports(
        depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson"
    )
    assert "was not written by an export" in str(export.connectors[0].error)
    assert files(tmp_path) == before


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("there", ["month=2026-02", "../connector_id=2/month=2026-01"])
async def test_a_file_that_was_moved_to_another_place_is_refused(
    depot: DepotClient, tmp_path: Path, format_: Format, there: str
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format=format_)
    (month,) = tmp_path.rglob("month=*")
    target = month.parent / there
    target.parent.mkdir(exist_ok=True)
    month.rename(target)
    before = files(tmp_path)
    export = await export_session_reports(
        depot, ALL[:2], tmp_path, from_=BEGIN, to=NOW, format=format_
    )
    (failed,) = export.failed
    assert "says that it holds CP-001/1/2026-01: move it to where it belongs" in str(failed.error)
    assert files(tmp_path).items() >= before.items()


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_file_is_not_replaced_by_one_with_fewer_reports(
    tmp_path: Path, format_: Format
) -> None:
    async with DepotSandbox(shape=SMALL) as full, client_of(full) as depot:
        await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, format=format_)
    before = files(tmp_path)
    async with DepotSandbox(shape=SMALL, sessions=3) as forgetful, client_of(forgetful) as depot:
        export = await export_session_reports(
            depot, ONE, tmp_path, from_=BEGIN, to=NOW, format=format_, verify=True
        )
    (one,) = export.connectors
    assert "holds 60 reports and the server has 3 now: it is kept" in str(one.error)
    assert (one.written, one.missing) == (2, 1), "February and March are written"
    assert files(tmp_path).items() >= before.items()


async def test_a_file_that_can_not_be_begun_leaves_nothing_aside(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("depotclient.export.layout.NdjsonWriter", full)
    export = await export_session_reports(
        depot, ONE, tmp_path, from_=BEGIN, to=END, format="ndjson"
    )
    assert "No space left" in str(export.connectors[0].error)
    assert aside(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"no Parquet", None])
async def test_a_file_of_somebody_else_is_not_replaced(
    depot: DepotClient, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "charger_id=CP-001/connector_id=1/month=2026-01/reports.parquet"
    file.parent.mkdir(parents=True)
    if content is None:
        pq.write_table(pa.table({"a": [1]}), file)
    else:
        file.write_bytes(content)
    before = files(tmp_path)
    export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    assert "was not written by an export" in str(export.connectors[0].error)
    assert files(tmp_path) == before


async def test_days_and_months_do_not_go_into_one_folder(
    depot: DepotClient, tmp_path: Path
) -> None:
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    export = await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END, window="day")
    assert "a file for each month" in str(export.connectors[0].error)
    assert ids_in(tmp_path).total() == 60


async def test_a_folder_that_is_a_file_is_refused(depot: DepotClient, tmp_path: Path) -> None:
    file = tmp_path / "lake"
    file.write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"lake is a file: an export needs a folder"):
        await export_session_reports(depot, ONE, file, from_=BEGIN)
    assert file.read_text() == "mine"


async def test_a_folder_that_can_not_be_made_is_an_error(depot: DepotClient) -> None:
    with pytest.raises(OSError, match="/proc"):
        await export_session_reports(depot, ONE, Path("/proc/lake"), from_=BEGIN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_": NOW + timedelta(days=1)}, "in the future: there is nothing to export"),
        ({"from_": datetime(2026, 1, 1)}, "from_ must be aware"),  # noqa: DTZ001
        ({"from_": "2026-01-01"}, "from_ must be a datetime, not str"),
        ({"to": BEGIN}, "must be before"),
        ({"to": datetime(2026, 1, 2)}, "to must be aware"),  # noqa: DTZ001
        ({"window": "week"}, "window must be one of month, day, got 'week'"),
        ({"format": "csv"}, "format must be one of parquet, ndjson, got 'csv'"),
        ({"margin": timedelta(days=-1)}, "margin must be from 0 to 366 days"),
        ({"margin": timedelta(days=400)}, "margin must be from 0 to 366 days"),
        ({"margin": 1}, "margin must be from 0 to 366 days, got 1"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"verify": 1}, "verify must be a bool, got 1"),
        ({"on_progress": None}, "on_progress must be a function, got None"),
        ({"folder": None}, "folder must be a path, .* got None"),
        ({"folder": 5}, "folder must be a path, .* got 5"),
        ({"folder": b"lake"}, "folder must be a path, .* got b'lake'"),
        ({"folder": ""}, "folder must be a path, .* got ''"),
        ({"folder": " "}, "folder must be a path, .* got ' '"),
        (
            {"folder": "la\0ke"},
            "folder must be a path, .* got 'la.x00ke'",
        ),
        (
            {"folder": "la\ud800ke"},
            "folder must be a path, .* got 'la.ud800ke'",
        ),
        ({"connectors": None}, "connectors must be pairs, such as .*, got None"),
        ({"connectors": 5}, "connectors must be pairs, such as .*, got 5"),
        ({"connectors": ["a1"]}, "connector must be a pair, such as .'CP-001', 1., got 'a1'"),
        ({"connectors": [("a", "1", "2")]}, "connector must be a pair"),
        ({"connectors": [("", "1")]}, "charger_id must not be empty"),
    ],
)
async def test_a_wrong_argument_is_refused_before_anything_is_asked_or_made(
    sandbox: DepotSandbox,
    depot: DepotClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"connectors": ONE, "folder": tmp_path / "lake", "from_": BEGIN}
    with pytest.raises(ValueError, match=message):
        await export_session_reports(depot, **(given | options))
    assert list(tmp_path.iterdir()) == []
    assert sandbox.requests == []


# Being stopped, and being watched.


async def test_an_export_that_is_cancelled_leaves_whole_files_and_goes_on(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    def at_work() -> set[asyncio.Task[Any]]:
        return {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}

    at_rest = at_work()
    for seconds in (0.01, 0.05, 0.1, 0.2, 0.3):
        export = asyncio.ensure_future(
            export_session_reports(depot, ALL, tmp_path, from_=BEGIN, to=END, window="day")
        )
        await asyncio.wait([export], timeout=seconds)
        export.cancel()
        await asyncio.wait([export])
        assert aside(tmp_path) == []
        assert not ids_in(tmp_path) - truth(sandbox)
        assert at_work() == at_rest
    done = await export_session_reports(depot, ALL, tmp_path, from_=BEGIN, to=END, window="day")
    assert done.failed == ()
    assert ids_in(tmp_path) == truth(sandbox)


async def test_what_killed_runs_left_aside_is_deleted_after_a_day(
    depot: DepotClient, tmp_path: Path
) -> None:
    (tmp_path / STAGING / "folder.part").mkdir(parents=True)
    old, new, other = (tmp_path / STAGING / name for name in ("old.part", "new.part", "other"))
    for file in (old, new, other):
        file.write_bytes(b"PAR1")
    for file in (old, other, tmp_path / STAGING / "folder.part"):
        os.utime(file, (time.time() - 90_000,) * 2)
    await export_session_reports(depot, ONE, tmp_path, from_=BEGIN, to=END)
    assert sorted(file.name for file in aside(tmp_path)) == ["folder.part", "new.part", "other"]


async def test_progress_is_told_in_plain_values_and_only_grows(
    depot: DepotClient, tmp_path: Path
) -> None:
    seen: dict[tuple[str, str], list[ConnectorExport]] = {}

    def note(it: ConnectorExport) -> None:
        seen.setdefault((it.charger_id, it.connector_id), []).append(it)

    export = await export_session_reports(
        depot, ALL, tmp_path, from_=BEGIN, to=END, window="day", on_progress=note
    )
    assert list(seen) == [("CP-001", "1"), ("CP-001", "2"), ("CP-002", "1")]
    for last, told in zip(export.connectors, seen.values(), strict=True):
        assert told[0] == attrs.evolve(told[0], written=0, skipped=0, reports=0, bytes_read=0)
        assert told[-1] == last
        assert [it.is_over for it in told] == [False] * (len(told) - 1) + [True]
        for before, after in pairwise(told):
            assert before.written <= after.written
            assert before.reports <= after.reports
            assert before.bytes_read <= after.bytes_read


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), BrokenPipeError(), NotFoundError("mine", status=404)], ids=repr
)
async def test_an_error_of_the_callback_comes_out_as_it_is(
    depot: DepotClient, tmp_path: Path, error: Exception
) -> None:
    def broken(_: ConnectorExport) -> None:
        raise error

    with pytest.raises(type(error)):
        await export_session_reports(depot, ALL, tmp_path, from_=BEGIN, on_progress=broken)
    assert aside(tmp_path) == []


class Counting:
    """A limiter that limits nothing and counts who is inside."""

    def __init__(self) -> None:
        self.inside = self.most = 0

    async def __aenter__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)

    async def __aexit__(self, *_: object) -> None:
        self.inside -= 1


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_no_more_connectors_are_read_at_once_than_asked_for(
    tmp_path: Path, concurrency: int
) -> None:
    under_way: set[tuple[str, str]] = set()
    most = 0

    def note(it: ConnectorExport) -> None:
        nonlocal most
        name = it.charger_id, it.connector_id
        (under_way.discard if it.is_over else under_way.add)(name)
        most = max(most, len(under_way))

    async with DepotSandbox(chargers=4, sessions=5, shape=SMALL) as sandbox:
        counting = Counting()
        async with client_of(sandbox, limiter=counting) as depot:
            connectors = [(c, n) for c, names in sandbox.chargers.items() for n in names]
            await export_session_reports(
                depot,
                connectors,
                tmp_path,
                from_=BEGIN,
                to=END,
                concurrency=concurrency,
                on_progress=note,
            )
        assert ids_in(tmp_path) == truth(sandbox, connectors)
    assert most == concurrency
    assert 1 <= counting.most <= 2 * concurrency


async def test_two_exports_into_one_folder_at_once_do_each_other_no_harm(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    exports = await asyncio.gather(
        *(
            export_session_reports(depot, ALL, tmp_path, from_=BEGIN, to=END, window="day")
            for _ in range(2)
        )
    )
    assert [it.failed for it in exports] == [(), ()]
    assert ids_in(tmp_path) == truth(sandbox)
    assert aside(tmp_path) == []


async def test_verify_finds_reports_that_moved_while_they_were_read(tmp_path: Path) -> None:
    from depotclient.sandbox import Churn

    async with (
        DepotSandbox(shape=SMALL, sessions=200, churn=Churn(deletes=0.5, pages=60)) as sandbox,
        client_of(sandbox) as depot,
    ):
        await export_session_reports(
            depot, ONE, tmp_path, from_=BEGIN - timedelta(days=90), to=NOW, verify=True
        )
        assert not truth(sandbox, ONE) - ids_in(tmp_path)


async def test_without_pyarrow_lines_can_be_exported_and_rows_say_what_to_install(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import asyncio, datetime as dt\n"
        "from depotclient.export import export_session_reports as export\n"
        "from depotclient.sandbox import DepotSandbox, ReportShape\n"
        "from depotclient import DepotClient\n"
        "async def main(format):\n"
        "    async with DepotSandbox(shape=ReportShape.small()) as s:\n"
        "        async with DepotClient(token=s.token, base_url=s.base_url) as d:\n"
        "            begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)\n"
        "            print(await export(d, [('CP-001', 1)], sys.argv[1], from_=begin,\n"
        "                               to=begin + dt.timedelta(40), format=format))\n"
        "asyncio.run(main('ndjson'))\n"
        "asyncio.run(main('parquet'))\n"
    )
    done = await asyncio.to_thread(
        lambda: subprocess.run(  # noqa: S603
            [sys.executable, "-c", code, str(tmp_path)],
            capture_output=True, text=True, timeout=60, check=False,
        )
    )  # fmt: skip
    assert "reports=60" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "ImportError: depotclient.arrow needs pyarrow: pip install 'thor-depot-clients[arrow]'"
    )
