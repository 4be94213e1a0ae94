"""Exports of session reports: each report once, in complete files, whatever fails."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from depotclient import DepotClient, NotFoundError, SchemaError
from depotclient.export import ConnectorExport, export_session_reports
from depotclient.export.files import NewFile
from depotclient.export.formats import FORMATS, Format
from depotclient.export.layout import ConnectorFolder
from depotclient.export.ndjson import NdjsonWriter
from depotclient.partitions import MARGIN
from depotclient.query import format_time
from depotclient.sandbox import DepotSandbox, ReportShape, TimeFilter
from tests.support.exports import (
    ALL,
    END,
    FIRST,
    NOW,
    START,
    Item,
    contents,
    expected_ids,
    export_first,
    ids_in,
    rows_in,
    serving,
    staging_files,
)

SMALL = ReportShape.small()
both_formats = pytest.mark.parametrize("format_", FORMATS)


def client_of(sandbox: DepotSandbox, **options: Any) -> DepotClient:
    client = DepotClient(token=sandbox.token, base_url=sandbox.base_url, **options)
    client.now = lambda: NOW
    return client


# Files.


@both_formats
async def test_every_report_is_in_the_file_of_its_connector_and_month(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    export = await export_session_reports(depot, ALL, tmp_path, from_=START, to=END, format=format_)
    counts = [(each.written, each.skipped, each.reports) for each in export.connectors]
    assert (export.failed, counts) == ((), [(1, 0, 60)] * 3)
    assert ids_in(tmp_path) == expected_ids(sandbox)
    assert [name for name in contents(tmp_path) if not name.endswith(".json")] == [
        f"charger_id={charger}/connector_id={connector}/month=2026-01/reports.{format_}"
        for charger, connector in ALL
    ]
    assert staging_files(tmp_path) == []
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {(tmp_path / "other").stat().st_mode}


# Windows.


@pytest.mark.parametrize(
    ("time_filter", "inclusive"), list(product(["start", "end", "overlap"], [True, False]))
)
async def test_no_boundary_loses_or_duplicates_a_session_whatever_the_server_tests(
    tmp_path: Path, time_filter: TimeFilter, inclusive: bool
) -> None:
    settings: dict[str, Any] = {"time_filter": time_filter, "inclusive": inclusive}
    async with (
        # The first session starts at midnight, and some last past midnight.
        DepotSandbox(sessions=24, shape=SMALL, start=START, cluster=2, **settings) as sandbox,
        client_of(sandbox) as depot,
    ):
        await export_first(depot, tmp_path, window="day", to=START + timedelta(days=10))
        assert ids_in(tmp_path) == expected_ids(sandbox, FIRST)
    for path in tmp_path.rglob("*.parquet"):
        day = path.parent.name.removeprefix("day=")
        starts = pq.ParquetFile(path).read()["session_time_start"].to_pylist()
        assert {f"{start:%Y-%m-%d}" for start in starts} <= {day}


@both_formats
async def test_a_window_is_read_again_until_it_is_closed_or_with_other_options(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    closed, moment = END + MARGIN, timedelta(milliseconds=1)
    runs: list[tuple[datetime, dict[str, Any], int]] = [
        (START + MARGIN, {}, 1),
        (closed - moment, {}, 1),
        (closed, {}, 1),
        (closed + moment, {}, 0),
        (NOW, {"verify": True}, 1),
        (NOW, {"margin": 2 * MARGIN}, 1),
        (NOW, {}, 0),
    ]
    reports, requests = [], []
    for now, options, written in runs:
        depot.now = lambda now=now: now  # type: ignore[misc]
        sandbox.requests.clear()
        export = await export_first(depot, tmp_path, format=format_, **options)
        assert export.written == written
        # No query reaches into the future.
        assert {request.query["to"] for request in sandbox.requests} <= {
            format_time(min(now, closed)),
            format_time(closed + MARGIN),
        }
        reports.append(ids_in(tmp_path).total())
        requests.append(len(sandbox.requests))
    assert 0 < reports[0] < reports[1] == reports[2] == 60
    assert requests[4] > requests[2] > requests[3] == 0, "verify reads a window twice"


async def test_months_in_the_future_have_no_file(depot: DepotClient, tmp_path: Path) -> None:
    await export_first(depot, tmp_path, to=datetime(2027, 1, 1, tzinfo=NOW.tzinfo))
    assert sorted(rows_in(tmp_path)) == ["2026-01", "2026-02", "2026-03"]


# Failures.


async def test_a_connector_that_fails_does_not_stop_the_others(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path
) -> None:
    connectors = [ALL[0], ("CP-404", "1"), ALL[2]]
    export = await export_session_reports(
        depot, connectors, tmp_path, from_=START, to=END, concurrency=1
    )
    (failed,) = export.failed
    assert (failed.charger_id, type(failed.error)) == ("CP-404", NotFoundError)
    assert [each.error is None for each in export.connectors] == [True, False, True]
    assert ids_in(tmp_path) == expected_ids(sandbox, [ALL[0], ALL[2]])
    assert staging_files(tmp_path) == []


async def test_an_invalid_report_affects_only_its_window(tmp_path: Path) -> None:
    items: list[Item] = [
        {"sessionId": 1, "sessionTimeStart": "2026-01-10T00:00:00.000Z"},
        {"sessionId": 2, "sessionMeterValues": [{"value": 1.5}, {"value": "1.5"}]},
    ]
    async with serving({"2026-01": items}) as depot:
        export = await export_first(depot, tmp_path, to=None)
    assert isinstance(export.error, SchemaError)
    problem = "$.items[1].sessionMeterValues[1].value: expected float, got str"
    assert export.error.problems == (problem,)
    assert export.error.__notes__ == ["session 2", "window 2026-01"]
    assert (export.missing, export.written, export.is_over) == (1, 1, True)
    assert rows_in(tmp_path) == {"2026-02": []}


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file grow beyond 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@both_formats
@pytest.mark.usefixtures("full_disk")
async def test_a_file_that_can_not_grow_is_not_left_incomplete(
    tmp_path: Path, format_: Format
) -> None:
    shape = ReportShape(meter_values=400, charge_parameters=4, detail_states=4, device_states=2)
    async with DepotSandbox(shape=shape, sessions=20) as sandbox, client_of(sandbox) as depot:
        export = await export_first(depot, tmp_path, format=format_)
    assert "File too large" in str(export.error)
    assert (contents(tmp_path), staging_files(tmp_path)) == ({}, [])


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def create_and_fail(_: object, path: Path) -> None:
    path.touch()
    no_space()


def close_and_fail(writer: NdjsonWriter) -> None:
    writer._file.close()
    no_space()


@pytest.mark.parametrize(
    ("step", "fail"),
    [
        ("depotclient.export.ndjson.NdjsonFormat.create", create_and_fail),
        ("depotclient.export.ndjson.NdjsonWriter.close", close_and_fail),
        ("evtransport.atomic.os.fsync", no_space),
    ],
)
async def test_a_full_disk_leaves_complete_files(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, fail: object
) -> None:
    await export_first(depot, tmp_path, format="ndjson")
    before = contents(tmp_path)
    monkeypatch.setattr(step, fail)
    export = await export_session_reports(
        depot, ALL, tmp_path, from_=START, to=END, format="ndjson"
    )
    assert [str(each.error) for each in export.failed] == ["[Errno 28] No space left on device"] * 2
    assert (contents(tmp_path), staging_files(tmp_path)) == (before, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_": NOW + timedelta(days=1)}, "in the future: there is nothing to copy"),
        ({"from_": "2026-01-01"}, "from_ must be a datetime"),
        ({"to": START}, "must be before"),
        ({"to": END.replace(tzinfo=None)}, "to must be aware"),
        ({"format": "csv"}, "format must be one of parquet, ndjson, got 'csv'"),
        ({"margin": timedelta(days=-1)}, "margin must be from 0 to 366 days"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"verify": 1}, "verify must be a bool, got 1"),
        ({"on_bad_report": "skip"}, "on_bad_report must be one of fail, quarantine, got 'skip'"),
        ({"keep_unknown": 1}, "keep_unknown must be a bool, got 1"),
        ({"refresh": None}, "refresh must be a bool, got None"),
        ({"accept_deletions": "no"}, "accept_deletions must be a bool, got 'no'"),
        ({"lag": 3}, "lag must be from 0 to 366 days, got 3"),
        ({"on_progress": None}, "on_progress must be a function, got None"),
        (
            {"connectors": [("CP-A", "1"), ("cp-a", "2")]},
            "are one folder on a disk that ignores case",
        ),
    ],
)
async def test_an_invalid_argument_is_rejected_before_any_request_or_file(
    sandbox: DepotSandbox,
    depot: DepotClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"connectors": FIRST, "folder": tmp_path / "lake", "from_": START}
    with pytest.raises(ValueError, match=message):
        await export_session_reports(depot, **(given | options))
    assert list(tmp_path.iterdir()) == []
    assert sandbox.requests == []


# Extras.


async def test_only_parquet_needs_pyarrow(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = [name for name in sys.modules if name.startswith("depotclient.arrow")]
    modules += ["depotclient.export.parquet", "depotclient.partitions.batches"]
    for name in modules:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    await export_first(depot, tmp_path / "lines", format="ndjson")
    assert not sys.modules.keys() & set(modules)
    assert len(contents(tmp_path)) == 2
    with pytest.raises(ImportError, match=r"needs pyarrow: pip install 'thor-depot-clients\[arrow"):
        await export_first(depot, tmp_path / "rows")


# Tasks.


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("step", ["open", "create", "write", "finish", "commit", "discard"])
async def test_a_cancelled_export_leaves_complete_files_and_continues(
    sandbox: DepotSandbox,
    depot: DepotClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    count: int,
) -> None:
    def tasks() -> int:
        return len([task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)])

    loop, idle, calls = asyncio.get_running_loop(), tasks(), 0
    owner = ConnectorFolder if step == "open" else NewFile
    original = getattr(owner, step)

    def cancel(*args: Any) -> object:
        nonlocal calls
        calls += 1
        if calls == count:
            loop.call_soon_threadsafe(export.cancel)
        return original(*args)

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, cancel)
        export = asyncio.ensure_future(
            export_session_reports(depot, ALL, tmp_path, from_=START, to=END)
        )
        await asyncio.wait([export])
    assert export.cancelled()
    assert staging_files(tmp_path) == []
    assert not ids_in(tmp_path) - expected_ids(sandbox)
    assert tasks() == idle
    await export_session_reports(depot, ALL, tmp_path, from_=START, to=END)
    assert ids_in(tmp_path) == expected_ids(sandbox)


async def test_progress_only_grows(depot: DepotClient, tmp_path: Path) -> None:
    reported: dict[tuple[str, str | int], list[ConnectorExport]] = {}

    def note(each: ConnectorExport) -> None:
        reported.setdefault((each.charger_id, each.connector_id), []).append(each)

    export = await export_session_reports(
        depot, ALL, tmp_path, from_=START, to=START + timedelta(days=4), window="day",
        on_progress=note,
    )  # fmt: skip
    assert tuple(reported) == ALL
    for last, values in zip(export.connectors, reported.values(), strict=True):
        assert values[0] == ConnectorExport(last.charger_id, last.connector_id, 4)
        assert values[-1] == last
        assert [each.is_over for each in values] == [False] * (len(values) - 1) + [True]
        for before, after in pairwise(values):
            assert before.written <= after.written
            assert before.reports <= after.reports
            assert before.bytes_read <= after.bytes_read
        assert any(0 < each.reports < last.reports for each in values)


@pytest.mark.parametrize("error", [BrokenPipeError(), NotFoundError("mine", status=404)], ids=repr)
async def test_an_error_of_the_callback_is_raised_unchanged(
    depot: DepotClient, tmp_path: Path, error: Exception
) -> None:
    def broken(_: ConnectorExport) -> None:
        raise error

    with pytest.raises(type(error)) as failed:
        await export_first(depot, tmp_path, on_progress=broken)
    assert failed.value is error
    assert staging_files(tmp_path) == []


async def test_a_bug_is_raised_unchanged(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NewFile, "create", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await export_first(depot, tmp_path)


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_at_most_concurrency_connectors_are_read_at_a_time(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, concurrency: int
) -> None:
    running = set[str]()
    peaks = []

    def note(each: ConnectorExport) -> None:
        (running.discard if each.is_over else running.add)(f"{each.charger_id}/{each.connector_id}")
        peaks.append(len(running))

    await export_session_reports(
        depot, ALL, tmp_path, from_=START, to=END, concurrency=concurrency, on_progress=note
    )
    assert max(peaks) == concurrency
    assert sandbox.peak_in_flight <= 2 * concurrency


@both_formats
async def test_two_exports_into_one_folder_do_not_disturb_each_other(
    sandbox: DepotSandbox, depot: DepotClient, tmp_path: Path, format_: Format
) -> None:
    runs = (
        export_session_reports(depot, ALL, tmp_path, from_=START, to=END, format=format_)
        for _ in range(2)
    )
    exports = await asyncio.gather(*runs)
    assert [export.failed for export in exports] == [(), ()]
    assert ids_in(tmp_path) == expected_ids(sandbox)
    assert staging_files(tmp_path) == []
