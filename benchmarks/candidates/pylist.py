"""`json.loads` and `pa.Table.from_pylist`, with the schema of this library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from benchmarks.candidates import base
from depotclient.arrow import SESSION_REPORTS
from depotclient.models import camel_case

TIMES = {"eventTimestamp", "sessionTimeStart", "sessionTimeEnd"}


def wire_type(kind: Any, time: Callable[[Any], Any]) -> Any:
    """Return an Arrow type with the vendor's field names, and a different type for times."""
    if pa.types.is_list(kind):
        return pa.list_(wire_type(kind.value_type, time))
    if pa.types.is_struct(kind):
        return pa.struct(
            [pa.field(camel_case(field.name), wire_type(field.type, time)) for field in kind]
        )
    return time(kind) if pa.types.is_timestamp(kind) else kind


def wire_schema(time: Callable[[Any], Any]) -> pa.Schema:
    """Return the schema of reports with the vendor's field names."""
    return pa.schema(
        [pa.field(camel_case(f.name), wire_type(f.type, time)) for f in SESSION_REPORTS]
    )


@cache
def snake_case(name: str) -> str:
    """Return the attribute name of a field."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def rename(value: Any) -> Any:
    """Return a report with attribute names, and with its times as datetimes."""
    if isinstance(value, list):
        return [rename(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        snake_case(key): datetime.fromisoformat(item) if key in TIMES and item else rename(item)
        for key, item in value.items()
    }


def with_attribute_names(table: pa.Table) -> pa.Table:
    """Return a table with our field names. It has the vendor's, and the same types."""
    columns = [
        column.combine_chunks().view(field.type)
        for column, field in zip(table.columns, SESSION_REPORTS, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=SESSION_REPORTS)


class Pylist(base.Candidate):
    """One table per page, then one file."""

    def read_table(self, page: bytes) -> pa.Table:
        """Return the reports of a page."""
        return pa.Table.from_pylist(rename(json.loads(page)["items"]), schema=SESSION_REPORTS)

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        table = pa.concat_tables([self.read_table(page) for page in pages])
        parquet.write_table(table, file, compression="zstd")


class Cast(Pylist):
    """The fastest form known: Arrow casts the times and changes the names."""

    def read_table(self, page: bytes) -> pa.Table:
        text, time = wire_schema(lambda _: pa.string()), wire_schema(lambda kind: kind)
        table = pa.Table.from_pylist(json.loads(page)["items"], schema=text).cast(time)
        return with_attribute_names(table)


PYLIST, CAST = Pylist(), Cast()
