"""Exports as tasks: cancellation, progress, errors of the caller, and several at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from depotclient import DepotClient, NotFoundError
from depotclient.export import ConnectorExport, export_session_reports
from depotclient.export.layout import FORMATS, ConnectorFolder, Format, WindowFile
from depotclient.sandbox import DepotSandbox
from tests.support.exports import (
    ALL,
    END,
    START,
    expected_ids,
    export_first,
    ids_in,
    staging_files,
)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("step", ["open", "new_file", "write", "commit", "discard"])
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
    owner = ConnectorFolder if step in {"open", "new_file"} else WindowFile
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


# Progress and concurrency.


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


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), BrokenPipeError(), NotFoundError("mine", status=404)], ids=repr
)
async def test_an_error_of_the_callback_is_raised_unchanged(
    depot: DepotClient, tmp_path: Path, error: Exception
) -> None:
    def broken(_: ConnectorExport) -> None:
        raise error

    with pytest.raises(type(error)) as failed:
        await export_session_reports(depot, ALL, tmp_path, from_=START, on_progress=broken)
    assert failed.value is error
    assert staging_files(tmp_path) == []


async def test_a_bug_is_raised_unchanged(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConnectorFolder, "new_file", lambda *_: 1 / 0)
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


@pytest.mark.parametrize("format_", FORMATS)
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
