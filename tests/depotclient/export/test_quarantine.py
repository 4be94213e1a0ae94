"""Invalid reports go into quarantine, stay there, and leave it when they can be read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest

from depotclient import SchemaError
from depotclient.arrow.batches import PageRows, row_of
from depotclient.export.quarantine import RejectedReport, rejected_folder
from depotclient.pages import Page, Refused
from tests.support.exports import (
    END,
    FEBRUARY_20,
    Item,
    contents,
    export_first,
    ids_in,
    serving,
)

GOOD: Item = {"sessionId": 1, "sessionTimeStart": "2026-01-10T00:00:00Z"}
BAD: Item = {"sessionId": 2, "sessionTimeStart": "2026-01-11T00:00:00Z", "energySocEnd": "80 %"}
CORRECTED: Item = {**BAD, "energySocEnd": 80}


def rejected_in(lake: Path) -> list[RejectedReport]:
    return [
        msgspec.json.decode(line, type=RejectedReport)
        for path in (lake.parent / "_rejected" / lake.name).rglob("reports.ndjson")
        for line in path.read_bytes().splitlines()
    ]


async def quarantine(items: Sequence[Item], lake: Path, **options: Any) -> Any:
    now = options.pop("now", FEBRUARY_20)
    async with serving(items, now) as depot:
        return await export_first(depot, lake, **{"on_bad_report": "quarantine", **options})


async def test_the_other_reports_are_written_and_only_the_first_run_has_an_error(
    tmp_path: Path,
) -> None:
    lake = tmp_path / "lake"
    first = await quarantine([GOOD, BAD], lake)

    assert (first.written, first.missing, first.rejected) == (1, 0, (2,))
    assert first.error.problems == ("$.items[1].energySocEnd: expected float, got str",)
    path = tmp_path / "_rejected/lake/charger_id=CP-001/connector_id=1/reports.ndjson"
    assert first.error.__notes__ == ["session 2", f"window 2026-01, in quarantine: {path}"]
    assert ids_in(lake) == {1: 1}
    (report,) = rejected_in(lake)
    assert msgspec.structs.asdict(report) | {"library": ""} == {
        "charger_id": "CP-001",
        "connector_id": "1",
        "window": "2026-01",
        "path": "$.energySocEnd",
        "problem": "expected float, got str",
        "session_id": 2,
        "rejected_at": FEBRUARY_20,
        "library": "",
        "report": json.dumps(BAD),
    }
    before = contents(tmp_path)
    for options in ({}, {"refresh": True}):
        again = await quarantine([GOOD, BAD], lake, **options)
        assert (again.error, again.rejected) == (None, (2,))
    assert contents(tmp_path / "_rejected") == {
        name.removeprefix("_rejected/"): text
        for name, text in before.items()
        if name.startswith("_rejected")
    }


@pytest.mark.parametrize(
    "changed",
    [CORRECTED, {**CORRECTED, "sessionTimeStart": "2026-01-12T00:00:00Z"}],
    ids=["corrected", "moved"],
)
async def test_a_corrected_report_leaves_the_quarantine(tmp_path: Path, changed: Item) -> None:
    lake = tmp_path / "lake"
    await quarantine([GOOD, BAD], lake)
    export = await quarantine([GOOD, changed], lake, refresh=True)
    assert (export.error, export.rejected, rejected_in(lake)) == (None, (), [])
    assert ids_in(lake) == {1: 1, 2: 1}


@pytest.mark.parametrize("start", [BAD["sessionTimeStart"], "2026-01-12T00:00:00Z", "yesterday"])
async def test_files_keep_the_last_valid_version_of_a_session(
    tmp_path: Path, start: object
) -> None:
    lake = tmp_path / "lake"
    await quarantine([GOOD, CORRECTED], lake)
    known = set[str]()
    for value in ("80 %", "81 %", "81 %"):
        changed = {**BAD, "sessionTimeStart": start, "energySocEnd": value}
        export = await quarantine([GOOD, changed], lake, refresh=True, accept_deletions=True)
        assert (ids_in(lake), export.moved, export.vanished) == ({1: 1, 2: 1}, (), ())
        assert (export.error is None) is (value in known), "other bytes are an error again"
        assert [value in report.report for report in rejected_in(lake)] == [True]
        known.add(value)


@pytest.mark.parametrize("accept_deletions", [False, True])
async def test_a_rejected_report_that_vanishes_stays_unless_deletions_are_accepted(
    tmp_path: Path, accept_deletions: bool
) -> None:
    lake = tmp_path / "lake"
    await quarantine([GOOD, BAD], lake)
    options = {"refresh": True, "accept_deletions": accept_deletions}
    export = await quarantine([GOOD], lake, **options)
    assert export.rejected == (() if accept_deletions else (2,))


@pytest.mark.parametrize("start", [BAD["sessionTimeStart"], None, 5])
async def test_a_later_version_restores_the_reports_that_it_can_read_without_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: object
) -> None:
    lake = tmp_path / "lake"
    report = {**CORRECTED, "sessionTimeStart": start}
    with monkeypatch.context() as earlier:
        earlier.setattr("depotclient.export.parquet.rows_of", refuse_all_but_the_first)
        earlier.setattr("depotclient.export.parquet.row_of", refuse)
        await quarantine([GOOD, report], lake)
        assert (ids_in(lake), len(rejected_in(lake))) == ({1: 1}, 1)

    export = await quarantine([], lake)

    is_readable = start != 5
    assert (export.error, export.written, export.bytes_read) == (None, 0, 0)
    assert (export.rejected, len(rejected_in(lake))) == (((), 0) if is_readable else ((2,), 1))
    assert ids_in(lake) == ({1: 1, 2: 1} if is_readable else {1: 1})


async def test_a_report_stays_in_quarantine_while_its_window_has_no_file(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    await quarantine([GOOD, BAD], lake)
    (path,) = (tmp_path / "_rejected").rglob("reports.ndjson")
    path.write_bytes(path.read_bytes().replace(rb"\"80 %\"", b"80"))  # It can be read now.
    (window,) = lake.rglob("month=2026-01")
    shutil.move(window, tmp_path / "elsewhere")
    february = {"from_": END, "to": None}
    assert (await quarantine([], lake, **february)).rejected == (2,)
    shutil.move(tmp_path / "elsewhere", window)
    assert (await quarantine([], lake, **february)).rejected == ()
    assert ids_in(lake) == {1: 1, 2: 1}


def refuse_all_but_the_first(page: Page[Any]) -> PageRows:
    """Return the rows of an earlier version, which can't read the second report."""
    refused = Refused(1, SchemaError(("$.items[1]: not yet",)))
    return PageRows(row_of(page.raw_reports[0]), [0], [refused])


def refuse(report: bytes) -> NoReturn:
    raise SchemaError(("$: not yet",))


async def test_ndjson_rejects_only_a_report_with_an_invalid_start(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    items: list[Item] = [
        GOOD,
        BAD,
        {**GOOD, "sessionId": 3, "sessionTimeEnd": 5},
        {"sessionId": 4, "sessionTimeStart": "yesterday"},
    ]
    for is_first in (True, False):
        export = await quarantine(items, lake, format="ndjson")
        assert (export.error is not None, export.rejected) == (is_first, (4,))
        assert ids_in(lake) == {1: 1, 2: 1, 3: 1}
    assert rejected_in(lake)[0].path == "$.sessionTimeStart"


async def test_invalid_reports_of_other_times_are_left_to_them(tmp_path: Path) -> None:
    december: Item = {**BAD, "sessionTimeStart": "2025-12-31T23:00:00Z"}
    export = await quarantine([GOOD, december], tmp_path / "lake")
    assert (export.error, export.rejected) == (None, ())


async def test_a_file_of_another_program_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "_rejected/lake/charger_id=CP-001/connector_id=1/reports.ndjson"
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    export = await quarantine([GOOD, BAD], tmp_path / "lake")
    assert str(export.error).endswith(
        "reports.ndjson was not written by an export of this version: move it away"
    )
    assert path.read_text() == "{}\n"


def test_the_quarantine_is_inside_the_lake_where_it_can_not_be_next_to_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    outer = tmp_path / "_rejected" / "lake"
    assert rejected_folder(lake) == outer
    assert rejected_folder(Path("/")) == Path("/_rejected")
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda path, mode: False)
        assert rejected_folder(lake) == lake / "_rejected"
        outer.mkdir(parents=True)
        assert rejected_folder(lake) == outer
    (lake / "_rejected").mkdir()
    assert rejected_folder(lake) == lake / "_rejected"


async def test_an_offline_session_moves_although_another_one_is_rejected(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    offline: list[Item] = [{**each, "sessionId": -1} for each in (GOOD, BAD)]
    await quarantine(offline, lake)
    offline[0] = {**offline[0], "sessionTimeStart": "2026-01-12T00:00:00Z"}
    export = await quarantine(offline, lake, refresh=True)
    assert (export.moved, export.vanished, ids_in(lake)) == ((-1,), (), {-1: 1})
