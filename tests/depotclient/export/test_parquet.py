"""Parquet files of an export: rows, row groups, and single sessions read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from depotclient import DepotClient
from depotclient.arrow import SESSION_REPORTS, session_reports_from
from depotclient.export.parquet import (
    ParquetFormat,
    ParquetWriter,
    read_manifest,
    read_session,
)
from depotclient.sandbox import make_report
from tests.support.exports import END, FIRST, export_first


async def test_rows_are_written_in_groups_and_equal_the_objects(
    depot: DepotClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depotclient.export.parquet.ROW_GROUP_BYTES", 20_000)
    await export_first(depot, tmp_path)
    (path,) = tmp_path.rglob("*.parquet")
    assert pq.read_metadata(path).num_row_groups > 1
    table = pq.ParquetFile(path).read()
    assert table.schema.equals(SESSION_REPORTS)
    objects = await depot.session_reports(*FIRST[0]).collect(max_items=60)
    assert await asyncio.to_thread(session_reports_from, table) == objects

    ids = [session.session_id for session in objects]
    for session_id, found in [
        (None, (objects[0], [])),
        (ids[0], (objects[0], [])),
        (7, (None, ids)),
    ]:
        assert await asyncio.to_thread(read_session, path, session_id) == found
    last, _ = await asyncio.to_thread(read_session, path, ids[59])
    assert last == objects[59]


def test_times_are_stored_as_differences_and_repeated_values_once(tmp_path: Path) -> None:
    path = tmp_path / "reports.parquet"
    file_format = ParquetFormat(keep_unknown=True)
    rows, _ = file_format.decode_report(make_report(1))
    write_file(path, file_format, lambda writer: writer.write(rows, [0]))
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    assert len(columns) > 40
    for column in columns:
        is_time = "time" in column.path_in_schema.rpartition(".")[2]
        assert ("DELTA_BINARY_PACKED" in column.encodings) == is_time, column.path_in_schema
        # Parquet has no dictionaries of booleans.
        has_dictionary = not is_time and column.physical_type != "BOOLEAN"
        assert column.has_dictionary_page == has_dictionary, column.path_in_schema


def test_rows_of_a_file_with_other_encodings_are_copied(tmp_path: Path) -> None:
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    file_format = ParquetFormat(keep_unknown=True)
    batches = [file_format.decode_report(make_report(number))[0] for number in (1, 2, 3)]
    rows = pa.Table.from_batches(batches).drop_columns("unknown_fields")
    texts = pa.array(['{"tariff":1}', None, "{}"], pa.large_string())
    rows = rows.append_column("unknown_fields", texts)
    pq.write_table(rows, old, compression="snappy", row_group_size=2)
    write_file(new, file_format, lambda writer: writer.copy(old, [0, 2]))
    copied = pq.ParquetFile(new).read()
    assert copied.schema.equals(file_format.schema)
    assert copied.to_pylist() == rows.take([0, 2]).to_pylist()


def write_file(
    path: Path, file_format: ParquetFormat, fill: Callable[[ParquetWriter], None]
) -> None:
    writer = file_format.create(path)
    fill(writer)
    writer.finish(b"{}")
    writer.close()


async def test_a_window_without_reports_has_a_file_without_rows(
    depot: DepotClient, tmp_path: Path
) -> None:
    await export_first(depot, tmp_path, from_=END, to=None)
    (path, _) = sorted(tmp_path.rglob("*.parquet"))
    table = pq.ParquetFile(path).read()
    assert (table.num_rows, table.schema.equals(SESSION_REPORTS)) == (0, True)
    assert await asyncio.to_thread(read_session, path, None) == (None, [])


def test_a_file_of_another_kind_has_neither_manifest_nor_sessions(tmp_path: Path) -> None:
    path = tmp_path / "reports.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    assert read_manifest(path) is None
    with pytest.raises(ValueError, match="it has no column session_id"):
        read_session(path, None)
    path.write_bytes(b"no Parquet")
    assert read_manifest(path) is None
    with pytest.raises(ValueError, match="is not a Parquet file of session reports"):
        read_session(path, None)
    with pytest.raises(ValueError, match="it is not a regular file"):
        read_session(tmp_path, None)
