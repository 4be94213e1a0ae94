"""DuckDB: JSON to Parquet by SQL, without the checks of this library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import msgspec
import pyarrow as pa

from benchmarks.candidates import base
from benchmarks.candidates.pylist import wire_schema


def type_of(kind: pa.DataType) -> str:
    """Return the SQL type of an Arrow type."""
    if isinstance(kind, pa.ListType):
        return f"{type_of(kind.value_type)}[]"
    if isinstance(kind, pa.StructType):
        return f"STRUCT({columns_of(kind)})"
    return {
        pa.int64(): "BIGINT",
        pa.float64(): "DOUBLE",
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
    }.get(kind, "TIMESTAMPTZ")


def columns_of(fields: pa.Schema | pa.StructType) -> str:
    """Return the names and SQL types of fields."""
    return ", ".join(f'"{field.name}" {type_of(field.type)}' for field in fields)


COLUMNS = ", ".join(
    f"{field.name}: '{type_of(field.type)}'" for field in wire_schema(lambda kind: kind)
)
QUERY = f"""
    COPY (
        SELECT * FROM read_json(?, format = 'newline_delimited', columns = {{{COLUMNS}}})
    ) TO '%s' (FORMAT parquet, COMPRESSION zstd)
"""  # noqa: S608


class ByDuckdb(base.Candidate):
    """DuckDB with one thread. It reads a file of lines, and keeps the vendor's field names.

    Reading whole pages takes it seven times as long.
    """

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        with TemporaryDirectory() as folder, duckdb.connect() as connection:
            lines = Path(folder) / "reports.ndjson"
            with lines.open("wb") as written:
                for page in pages:
                    for report in msgspec.json.decode(page, type=base.SplitPage).items:
                        written.write(bytes(report) + b"\n")
            connection.execute("SET threads = 1")
            connection.execute(QUERY % file, [str(lines)])


BY_DUCKDB = ByDuckdb()
