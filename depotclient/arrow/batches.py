"""Session reports as Arrow record batches, decoded from the bytes of a page.

There are two decoding paths. Arrow decodes a page without a Python object for each event. The
objects of the reports are the fallback, for values that Arrow rejects or interprets differently.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import IO, Any, Final, Literal, cast

import attrs
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from depotclient.arrow.schema import FLEET_REPORTS, SESSION_REPORTS, TIME, schema_of
from depotclient.drift import UnknownPart, find_unknown
from depotclient.models import SessionReport, camel_case, structurer_of
from depotclient.pages import Page, Refused
from depotclient.reports import SessionReports
from evtransport.errors import ApiError, SchemaError

__all__ = ["PageRows", "batch_of", "record_batches", "row_of", "rows_of", "table_of"]

# Arrow decodes blocks of this size in parallel. On two cores, this halves the time of a page.
_BLOCK_BYTES: Final = 2**20

# The objects accept RFC 3339, and offsets without a colon. Arrow's own parser accepts more: a date
# alone, a time without minutes, and a time without an offset.
_TIME_TEXT: Final = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:(\.\d{1,3})\d*)?(Z|[+-]\d\d:?\d\d)$"
_TIME_TEXT_IN_MS: Final = r"\1T\2\3\4"
# The objects round the seventh digit of a fraction, which may carry into the milliseconds.
_ROUNDED_UP: Final = r"\.\d{3}999[5-9]"
# Arrow splits blocks at both characters.
_NO_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")
_VENDOR_LENGTH: Final = len("2026-01-01T00:00:00.000Z")
# Years 2 to 9999, in milliseconds since 1970. Other years need the fallback: Arrow has a year 0 and
# years after 9999, and Python does not.
_MIN_MS: Final = -62_104_060_800_000
_MAX_MS: Final = 253_402_300_799_999

_TOO_LARGE: Final = "too large for its column: an integer of more than 64 bits"

_structure: Final = structurer_of(SessionReport)


async def record_batches(reports: SessionReports[Any]) -> AsyncGenerator[pa.RecordBatch, None]:
    """Yield each page of a walk as one record batch.

    A thread decodes the page.

    Args:
        reports: Result of `DepotClient.session_reports`. Its `into=` selects the columns.

    Yields:
        One batch for each page with new reports, with the schema that `schema_of` returns. Times
        are truncated to milliseconds.

    Raises:
        ApiError: As in a walk over the reports. The reports before the failure are yielded first.
            The cursor is the position after them. A value of a wrong type is a `SchemaError` that
            names its path.
        ValueError: `into=` is not a class with an Arrow schema, or has no fields.

    Example:
        >>> from contextlib import aclosing, suppress
        >>> async with DepotClient.from_env() as depot:
        ...     async with aclosing(record_batches(depot.session_reports("CP-001", 1))) as batches:
        ...         rows = sum([batch.num_rows async for batch in batches])
        >>> rows
        60
    """
    schema = schema_of(reports.into)
    if not schema.names:
        raise ValueError(f"into={reports.into!r} has no fields, so a batch has no columns")
    async with aclosing(reports.pages()) as pages:
        async for page in pages:
            batch, error = await asyncio.to_thread(_batch_before_error, page, schema)
            del page  # Release the page while the caller uses the batch.
            if batch.num_rows:
                yield batch
            if error is not None:
                raise error


@attrs.frozen(eq=False)
class PageRows:
    """Rows of a page, and its invalid reports and unknown fields.

    Attributes:
        batch: Rows of the valid reports.
        indexes: Index of the report of each row among the new reports of the page.
        refused: Invalid reports, in the order of the page.
        unknown: Fields of each row that no column holds. Empty if there are none on the page.
    """

    batch: pa.RecordBatch
    indexes: Sequence[int]
    refused: Sequence[Refused] = ()
    unknown: Sequence[UnknownPart] = ()


def batch_of(page: Page[Any], schema: pa.Schema) -> pa.RecordBatch:
    """Return the new reports of a page.

    Raises:
        SchemaError: A report is invalid. The error has the cursor before it.
    """
    batch, error = _batch_before_error(page, schema)
    if error is not None:
        raise error
    return batch


def rows_of(page: Page[Any]) -> PageRows:
    """Return the new reports of a page as rows with `SESSION_REPORTS`, without the invalid ones."""
    if None not in page.ids:  # Arrow accepts a report without an id.
        with suppress(pa.ArrowInvalid):
            # This finds an unknown field at no cost, but it does not name the field.
            batch = _decode_by_arrow(page.items, SESSION_REPORTS, unexpected="error")
            return PageRows(batch, range(batch.num_rows))
        with suppress(pa.ArrowInvalid):
            batch = _decode_by_arrow(page.items, SESSION_REPORTS)
            return PageRows(batch, range(batch.num_rows), (), [*map(find_unknown, page.items)])
    return _decode_by_objects(page, SESSION_REPORTS)


def row_of(report: bytes) -> pa.RecordBatch:
    """Return one report as a row with `SESSION_REPORTS`.

    Raises:
        SchemaError: The report is invalid.
    """
    row = msgspec.to_builtins(_structure(report), builtin_types=(datetime,))
    try:
        return pa.RecordBatch.from_pylist([row], SESSION_REPORTS)
    except OverflowError:
        raise SchemaError((f"$: {_TOO_LARGE}",)) from None


def _batch_before_error(
    page: Page[Any], schema: pa.Schema
) -> tuple[pa.RecordBatch, ApiError | None]:
    """Return the new reports of a page before the first invalid one, and its error."""
    if None not in page.ids:  # Arrow accepts a report without an id.
        with suppress(pa.ArrowInvalid):
            return _decode_by_arrow(page.items, schema), None
    rows = _decode_by_objects(page, schema, stops=True)
    return rows.batch, rows.refused[0].error if rows.refused else None


def _decode_by_objects(page: Page[Any], schema: pa.Schema, *, stops: bool = False) -> PageRows:
    """Return the reports of a page, decoded through objects.

    Args:
        page: The page.
        schema: Schema of the rows.
        stops: Whether to return only the rows before the first invalid report, and its error. To
            name the problems of a report may take longer than to decode the whole page.
    """
    rows: dict[int, dict[str, Any]] = {}
    refused: list[Refused] = []
    for index, session_id in enumerate(page.ids):
        try:
            rows[index] = msgspec.to_builtins(page.reports[index], builtin_types=(datetime,))
        except ApiError as error:
            if session_id is not None:
                error.add_note(f"session {session_id}")
            refused.append(Refused(index, error))
            if stops:
                break
    try:
        batch = pa.RecordBatch.from_pylist([*rows.values()], schema)
    except OverflowError:  # The objects accept integers of any size.
        large = [index for index, row in rows.items() if not _fits(row, schema)]
        refused += [Refused(index, _too_large(page, index)) for index in large]
        refused.sort(key=lambda each: each.index)
        end = refused[0].index if stops else len(page.ids)
        rows = {n: row for n, row in rows.items() if n not in large and n < end}
        batch = pa.RecordBatch.from_pylist([*rows.values()], schema)
    items = () if stops else page.items
    unknown = [find_unknown(items[index]) for index in rows] if items else []
    return PageRows(batch, tuple(rows), refused, unknown)


def _too_large(page: Page[Any], index: int) -> SchemaError:
    error = SchemaError((f"{page.path_at(index)}: {_TOO_LARGE}",))
    error.cursor = page.cursor_at(index)
    page.describe(error)
    return error


def _fits(row: dict[str, Any], schema: pa.Schema) -> bool:
    """Return True if every integer of a row has at most 64 bits."""
    try:
        pa.RecordBatch.from_pylist([row], schema)
    except OverflowError:
        return False
    return True


def table_of(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return a table with `FLEET_REPORTS`. It has no rows if there are no batches."""
    return pa.Table.from_batches(batches, FLEET_REPORTS)


def _decode_by_arrow(
    items: Sequence[msgspec.Raw],
    schema: pa.Schema,
    unexpected: Literal["ignore", "error"] = "ignore",
) -> pa.RecordBatch:
    """Return some reports, without Python objects.

    Args:
        items: JSON texts of the reports.
        schema: Schema of the rows.
        unexpected: Whether to ignore a field that has no column, or to raise an error.

    Raises:
        ArrowInvalid: Arrow rejects a value, or may interpret it differently from the objects.
    """
    lines = b"\n".join(items)
    if lines.count(b"\n") >= len(items):
        # Arrow expects one report on each line. JSON strings contain no line breaks, so spaces may
        # replace them.
        lines = b"\n".join(bytes(item).translate(_NO_LINE_ENDS) for item in items)
    longest = max(map(len, items))
    # Arrow's default pool keeps freed memory: 75 MiB more in an export.
    pool = pa.system_memory_pool()
    table = pa_json.read_json(
        cast("IO[bytes]", pa.BufferReader(lines)),
        read_options=pa_json.ReadOptions(block_size=max(_BLOCK_BYTES, longest + 1)),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema(_vendor_fields(schema)),
            unexpected_field_behavior=unexpected,
        ),
        memory_pool=pool,
    )
    columns = [
        _convert(column.combine_chunks(memory_pool=pool), field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _vendor_fields(fields: Iterable[pa.Field[Any]]) -> list[pa.Field[Any]]:
    """Return the same fields with the vendor's names, and times as strings."""
    return [pa.field(camel_case(field.name), _vendor_type(field.type)) for field in fields]


def _vendor_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.ListType):
        return pa.list_(_vendor_type(kind.value_type))
    if isinstance(kind, pa.StructType):
        return pa.struct(_vendor_fields(kind))
    return pa.string() if kind == TIME else kind


def _convert(array: Any, kind: pa.DataType) -> pa.Array[Any]:
    """Return an array of vendor fields with the names and types of `schema_of`."""
    if isinstance(kind, pa.ListType):
        if array.values.null_count:
            raise pa.ArrowInvalid("null among the items of a list")
        # Without the validity of the array, a null list is an empty list.
        return pa.ListArray.from_arrays(array.offsets, _convert(array.values, kind.value_type))
    if isinstance(kind, pa.StructType):
        inner = [_convert(array.field(n), field.type) for n, field in enumerate(kind)]
        nulls = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(inner, fields=list(kind), mask=nulls)
    if kind == pa.float64() and not _all(pc.is_finite(array)):
        raise pa.ArrowInvalid("a number outside the range of float64, which becomes infinite")
    return _parse_times(array) if kind == TIME else array


def _parse_times(texts: pa.StringArray) -> pa.Array[Any]:
    """Return the times in an array of strings. An empty string is null."""
    pool = pa.system_memory_pool()
    if _has_vendor_format(texts):
        times = pc.cast(texts, TIME, memory_pool=pool)
        milliseconds = pc.cast(times, pa.int64())
    else:
        texts = pc.if_else(pc.equal(texts, pa.scalar("")), None, texts, memory_pool=pool)
        texts = pc.ascii_upper(texts, memory_pool=pool)
        if not _all(pc.match_substring_regex(texts, _TIME_TEXT)):
            raise pa.ArrowInvalid("a time in an unexpected format")
        in_ms = pc.replace_substring_regex(texts, _TIME_TEXT, _TIME_TEXT_IN_MS, memory_pool=pool)
        carry = pc.cast(pc.match_substring_regex(texts, _ROUNDED_UP), pa.int64())
        milliseconds = pc.add(pc.cast(pc.cast(in_ms, TIME), pa.int64()), carry, memory_pool=pool)
        times = pc.cast(milliseconds, TIME)
    first, last = pc.min(milliseconds).as_py(), pc.max(milliseconds).as_py()
    if first is not None and not _MIN_MS <= first <= last <= _MAX_MS:
        raise pa.ArrowInvalid("a time outside the years 2 to 9999")
    return times


def _has_vendor_format(texts: pa.StringArray) -> bool:
    """Return True if all strings have the length of the vendor's example and end with Z.

    Arrow parses no other format of that length and end. The regular expressions cost 20 times as
    much as this check, and a tenth of the time of a page.
    """
    lengths = pc.binary_length(texts)
    is_same = pc.min(lengths).as_py() == pc.max(lengths).as_py() == _VENDOR_LENGTH
    return is_same and _all(pc.ends_with(texts, "Z"))


def _all(flags: Any) -> bool:
    """Return True if no flag is false. Nulls don't count."""
    return pc.all(flags).as_py() is not False
