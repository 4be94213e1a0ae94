"""Readers of copies, independent of the code that writes them: files by folder, tables by SQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.support.nights import Contents, Row, row_of

COLUMNS = ("session_id", "session_time_start", "session_time_end", "energy_soc_end")


def read_files(folder: Path) -> Contents:
    """Return the rows of all complete files of an export. Files don't mark vanished sessions."""
    rows = Counter[Row]()
    for path in folder.rglob("reports.*"):
        rows.update(_parquet_rows(path) if path.suffix == ".parquet" else _ndjson_rows(path))
    return Contents(rows)


def _parquet_rows(path: Path) -> Iterator[Row]:
    table = pq.ParquetFile(path).read([*COLUMNS, "session_meter_values"])
    counts = pc.list_value_length(table["session_meter_values"]).to_pylist()
    columns = (table[name].to_pylist() for name in COLUMNS)
    for *values, count in zip(*columns, counts, strict=True):
        yield Row(*_connector_of(path), *values, count)


def _ndjson_rows(path: Path) -> Iterator[Row]:
    if path.suffix == ".ndjson":
        for line in path.read_bytes().splitlines():
            yield row_of(_connector_of(path), json.loads(line))


def _connector_of(path: Path) -> tuple[str, str]:
    """Return the ids in the names of the folders around a file's window."""
    charger, connector, _, _ = path.parts[-4:]
    return unquote(charger.partition("=")[2]), unquote(connector.partition("=")[2])
