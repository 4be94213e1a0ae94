"""Session reports as Arrow record batches, straight from the bytes of a page (extra `arrow`)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs
from cattrs import Converter

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pa_json
except ImportError as error:
    raise ImportError(
        "depotclient.arrow needs pyarrow: pip install 'thor-depot-clients[arrow]'"
    ) from error

from depotclient.models import SessionReport, camel_case
from depotclient.reports import Page, SessionReports
from evtransport.errors import SchemaError

__all__ = ["SESSION_REPORTS", "record_batches", "schema_of", "session_reports_from"]

TIME: Final = pa.timestamp("ms", tz="UTC")

_SCALARS: Final[dict[object, pa.DataType]] = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bool: pa.bool_(),
    datetime: TIME,
}

# Arrow's own parser would also take a plain date, hours alone, and a time without an offset. Other
# forms that are right, such as one with microseconds, are left to the objects.
_TIME_TEXT: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)$"
_FIRST_MS: Final = -62_135_596_800_000
"""0001-01-01 in UTC, the first time that Python can hold."""
_LAST_MS: Final = 253_402_300_799_999


def schema_of(cls: type) -> pa.Schema:
    """The Arrow schema of session reports, or of a class with a part of their fields.

    Args:
        cls: `SessionReport` or what `into=` takes, with the annotations of `SessionReport`.

    Returns:
        One column for each field that its constructor takes, under the same snake_case name:
        `int64`, `float64`, `string`, `bool`, times as `timestamp[ms, UTC]`, events as lists of
        structs. Everything may be null, except that a list which is missing or null is empty.

    Raises:
        ValueError: A field has a type that no field of `SessionReport` has.
    """
    return pa.schema(_fields_of(cls))


def _fields_of(cls: type[Any]) -> list[pa.Field[Any]]:
    hints = get_type_hints(cls)
    return [
        pa.field(field.name, _type_of(hints[field.name], f"{cls.__name__}.{field.name}"))
        for field in attrs.fields(cls)
        if field.init
    ]


def _type_of(annotation: Any, name: str) -> pa.DataType:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if get_origin(annotation) is list:
        return pa.list_(_type_of(get_args(annotation)[0], name))
    if NoneType in get_args(annotation):
        (inner,) = (arg for arg in get_args(annotation) if arg is not NoneType)
        return _type_of(inner, name)
    if attrs.has(annotation):
        return pa.struct(_fields_of(annotation))
    raise ValueError(f"{name} has no Arrow type: {annotation!r}")


SESSION_REPORTS: Final = schema_of(SessionReport)
"""The schema of whole session reports."""


async def record_batches(reports: SessionReports[Any]) -> AsyncGenerator[pa.RecordBatch, None]:
    """Walk the pages and give each as one record batch.

    The bytes of a page are read by Arrow, in a thread, and no Python object is built for an
    event. A page with a value that Arrow would refuse or understand in its own way goes the road
    of the objects instead, which has the last word.

    Args:
        reports: What `DepotClient.session_reports` gave; its `into=` chooses the columns.

    Yields:
        A batch for each page that brings something new, with the schema `schema_of` gives. Times
        are cut to milliseconds.

    Raises:
        ApiError: As in a walk over the reports, with the cursor behind the page given last; a
            value of a wrong type is a `SchemaError` that names report and path.
        ValueError: `into=` is a class that has no Arrow schema, or no field at all.
    """
    schema = schema_of(reports.into)
    if not schema.names:
        raise ValueError(f"{reports.into.__name__} has no fields, so a batch would have no columns")
    async with aclosing(reports.pages()) as pages:
        async for page in pages:
            yield await asyncio.to_thread(batch_of, page, schema)


def batch_of(page: Page[Any], schema: pa.Schema) -> pa.RecordBatch:
    """The new reports of a page.

    Raises:
        SchemaError: One of them is not as documented; it has the cursor before it.
    """
    try:
        return _read(page.raw_reports, schema)
    except (pa.ArrowInvalid, _NotSoPlain):
        return _from_objects(page, schema)


class _NotSoPlain(Exception):
    """Arrow has read something that the objects would not hold, or not like that."""


def _read(texts: Sequence[bytes], schema: pa.Schema) -> pa.RecordBatch:
    """Read reports by Arrow alone.

    Raises:
        ArrowInvalid: Arrow can't read them so.
        _NotSoPlain: It can, but only the objects tell whether that is right.
    """
    lines = b"\n".join(texts)
    table = pa_json.read_json(
        io.BytesIO(lines),
        # One block, so that line ends within a report don't matter.
        read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema(_wire_fields(schema)), unexpected_field_behavior="ignore"
        ),
    )
    columns = [
        _column(column.combine_chunks(), field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _wire_fields(fields: Iterable[pa.Field[Any]]) -> list[pa.Field[Any]]:
    """The same fields as the vendor spells them, times as text."""
    return [pa.field(camel_case(field.name), _wire_type(field.type)) for field in fields]


def _wire_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.ListType):
        return pa.list_(_wire_type(kind.value_type))
    if isinstance(kind, pa.StructType):
        return pa.struct(_wire_fields(kind))
    return pa.string() if kind == TIME else kind


def _column(array: Any, kind: pa.DataType) -> pa.Array[Any]:
    """What was read under the vendor's names, under ours, with times as times."""
    if isinstance(kind, pa.ListType):
        if array.values.null_count:
            raise _NotSoPlain("null among the items of a list")
        # Without its validity a list that was null is an empty one.
        return pa.ListArray.from_arrays(array.offsets, _column(array.values, kind.value_type))
    if isinstance(kind, pa.StructType):
        inner = [_column(array.field(n), field.type) for n, field in enumerate(kind)]
        missing = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(inner, fields=list(kind), mask=missing)
    return _times(array) if kind == TIME else array


def _times(texts: pa.StringArray) -> pa.Array[Any]:
    if pc.all(pc.match_substring_regex(texts, _TIME_TEXT)).as_py() is False:
        raise _NotSoPlain("a time in another form")
    times = pc.cast(texts, TIME)
    moments = pc.cast(times, pa.int64())
    first, last = pc.min(moments).as_py(), pc.max(moments).as_py()
    if first is not None and not (first >= _FIRST_MS and last <= _LAST_MS):
        raise _NotSoPlain("a time beyond the years 1 to 9999")
    return times


def _from_objects(page: Page[Any], schema: pa.Schema) -> pa.RecordBatch:
    batches: list[pa.RecordBatch] = []
    for report in page.reports:  # which raises where one is not as documented
        try:
            batches.append(pa.RecordBatch.from_pylist([attrs.asdict(report)], schema=schema))
        except (pa.ArrowInvalid, OverflowError) as error:
            reason = str(error)
        else:
            continue
        refused = SchemaError((f"{page.paths[len(batches)]}: too large for its column: {reason}",))
        refused.cursor = page.cursor_after(len(batches))
        raise refused
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batch


def session_reports_from(rows: pa.RecordBatch | pa.Table) -> list[SessionReport]:
    """The objects again, of rows that hold whole reports.

    Args:
        rows: With the columns of `SESSION_REPORTS`; others, such as those that a folder's name
            adds, are passed over.

    Raises:
        ValueError: A column is missing.
    """
    missing = [name for name in SESSION_REPORTS.names if name not in rows.schema.names]
    if missing:
        raise ValueError(f"these are no session reports: there is no column {', '.join(missing)}")
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, lambda time, _: time.astimezone(UTC))
    found = rows.select(SESSION_REPORTS.names).to_pylist()
    return [converter.structure(row, SessionReport) for row in found]
