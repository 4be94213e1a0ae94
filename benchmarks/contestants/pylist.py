"""`json.loads`, and Arrow's own way from dicts to a table."""

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

from benchmarks.contestants.interface import Contestant


def schema(named: Callable[[str], str], time: pa.DataType) -> pa.Schema:
    """The columns of reports, with the names and the type of times that are wanted."""

    def fields(**types: pa.DataType) -> list[pa.Field[Any]]:
        return [pa.field(named(name), type_) for name, type_ in types.items()]

    def struct(**types: pa.DataType) -> pa.DataType:
        return pa.struct(fields(**types, event_timestamp=time))

    whole, real, text = pa.int64(), pa.float64(), pa.string()
    error_codes = pa.list_(struct(error_code=text, error_counter=whole))
    return pa.schema(
        fields(
            session_id=whole,
            vehicle_id=text,
            session_time_start=time,
            session_time_end=time,
            energy_soc_start=real,
            energy_soc_end=real,
            energy_charge_start=real,
            energy_charge_end=real,
            energy_primary_start=real,
            energy_primary_end=real,
            energy_requested_start=real,
            energy_requested_end=real,
            ocpp_status=pa.list_(struct(value=text)),
            detail_status=pa.list_(struct(key=text, value=text)),
            device_status=pa.list_(struct(status=text, device_id=text, error_codes=error_codes)),
            charge_parameters=pa.list_(
                struct(
                    param_type=text,
                    max_power=real,
                    max_current=real,
                    max_voltage=real,
                    min_current=real,
                    min_voltage=real,
                )
            ),
            session_meter_values=pa.list_(struct(key=text, value=real)),
            battery_alignment_results=struct(
                in_range=pa.bool_(), present_voltage=real, requested_voltage=real
            ),
            dc_breaker_open_conditions=struct(current=real, voltage=real),
        )
    )


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


@cache
def snake_case(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


TIMES = {"eventTimestamp", "sessionTimeStart", "sessionTimeEnd"}
TIME = pa.timestamp("ms", tz="UTC")
WIRE, TIMED, NAMED = schema(camel_case, pa.string()), schema(camel_case, TIME), schema(str, TIME)


def named(value: Any) -> Any:
    """A report with the names of the schema, and with its times as times."""
    if isinstance(value, list):
        return [named(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        snake_case(key): datetime.fromisoformat(inner) if key in TIMES and inner else named(inner)
        for key, inner in value.items()
    }


class Pylist(Contestant):
    """A table a page, so that the dicts of one page at a time are there; then one file."""

    def table_of(self, page: bytes) -> pa.Table:
        """A page's reports."""
        return pa.Table.from_pylist(named(json.loads(page)["items"]), schema=NAMED)

    def write_parquet(self, pages: Sequence[bytes], file: Path) -> None:
        table = pa.concat_tables([self.table_of(page) for page in pages])
        parquet.write_table(table, file, compression="zstd")


class CastPylist(Pylist):
    """The same in the fastest form that we know: Arrow casts the times and changes the names."""

    def table_of(self, page: bytes) -> pa.Table:
        table = pa.Table.from_pylist(json.loads(page)["items"], schema=WIRE).cast(TIMED)
        columns = [
            column.combine_chunks().view(field.type)
            for column, field in zip(table.columns, NAMED, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=NAMED)


PYLIST = Pylist()
CAST_PYLIST = CastPylist()
