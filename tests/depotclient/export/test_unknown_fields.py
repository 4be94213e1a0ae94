"""Fields that the vendor adds are named in the result, and kept if the caller wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from depotclient.arrow import SESSION_REPORTS
from depotclient.export import ConnectorExport
from depotclient.export.formats import FORMATS, Format
from tests.support.exports import FEBRUARY_20, Item, export_first, ids_in, serving

OLD: Item = {"sessionId": 1, "sessionTimeStart": "2026-01-10T00:00:00Z"}
NEW: Item = {
    "sessionId": 2,
    "sessionTimeStart": "2026-01-11T00:00:00Z",
    "tariff": {"name": "T", "price": 0.1},
    "ocppStatus": [{"value": "Charging", "reason": "R"}, {"value": "Available"}],
}
KEPT = '{"tariff":{"name": "T", "price": 0.1},"ocppStatus":[{"reason":"R"},{}]}'
PATHS = {"tariff": 1, "ocppStatus[].reason": 1}


async def export(items: Sequence[Item], lake: Path, **options: Any) -> ConnectorExport:
    async with serving(items, FEBRUARY_20) as depot:
        return await export_first(depot, lake, **options)


@pytest.mark.parametrize("format_", FORMATS)
async def test_unknown_fields_are_counted_in_the_result(tmp_path: Path, format_: Format) -> None:
    result = await export([OLD, NEW], tmp_path, format=format_)
    assert (result.error, result.unknown_fields) == (None, PATHS)
    assert (await export([OLD], tmp_path, format=format_, refresh=True)).unknown_fields == {}


async def test_unknown_fields_are_kept_in_a_column_of_their_own(tmp_path: Path) -> None:
    await export([OLD, NEW], tmp_path)
    (path,) = tmp_path.rglob("*.parquet")
    assert pq.ParquetFile(path).schema_arrow.names == SESSION_REPORTS.names

    # The session that has vanished comes from the file without the column.
    await export([NEW], tmp_path, keep_unknown=True, refresh=True)
    table = pq.ParquetFile(path).read()
    assert table.schema.names == [*SESSION_REPORTS.names, "unknown_fields"]
    rows = [(row["session_id"], row["unknown_fields"]) for row in table.to_pylist()]
    assert sorted(rows) == [(1, None), (2, KEPT)]

    await export([OLD], tmp_path, keep_unknown=True, refresh=True)
    table = pq.ParquetFile(path).read()
    assert set(table["unknown_fields"].to_pylist()) == {None, KEPT}


async def test_an_invalid_report_does_not_hide_the_fields_of_the_others(tmp_path: Path) -> None:
    bad: Item = {**NEW, "sessionId": 3, "energySocEnd": "80 %"}
    options = {"keep_unknown": True, "on_bad_report": "quarantine"}
    result = await export([OLD, bad, NEW], tmp_path / "lake", **options)
    assert (result.rejected, result.unknown_fields) == ((3,), PATHS)
    assert ids_in(tmp_path / "lake") == {1: 1, 2: 1}
