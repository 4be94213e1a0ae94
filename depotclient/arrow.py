"""Session reports as Arrow record batches, straight from the bytes of a page (extra `arrow`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from types import NoneType
from typing import IO, Any, Final, cast, get_args, get_origin, get_type_hints

import attrs
import msgspec
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
from depotclient.pages import Page
from depotclient.reports import SessionReports
from evtransport.errors import ApiError, SchemaError

__all__ = ["FLEET_REPORTS", "SESSION_REPORTS", "record_batches", "schema_of"]
__all__ += ["session_reports_from"]

TIME: Final = pa.timestamp("ms", tz="UTC")

_SCALARS: Final[dict[object, pa.DataType]] = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bool: pa.bool_(),
    datetime: TIME,
}

BLOCK_BYTES: Final = 2**20
"""So much is read at once, on all cores: half the time of a page in one piece."""

# RFC 3339, and also offsets without a colon, as the objects accept them. Arrow's own parser accepts
# too much: a plain date, hours only, and a time without an offset.
_TIME_TEXT: Final = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:(\.\d{1,3})\d*)?(Z|[+-]\d\d:?\d\d)$"
_PLAIN_TIME: Final = r"\1T\2\3\4"
# The objects round to microseconds, by the seventh digit. That may carry into milliseconds.
_ROUNDED_UP: Final = r"\.\d{3}999[5-9]"
# First time, second year and last time that Python can hold, in milliseconds since 1970 in UTC.
_FIRST_MS: Final = -62_135_596_800_000
_SECOND_YEAR_MS: Final = -62_104_060_800_000
_LAST_MS: Final = 253_402_300_799_999


def schema_of(cls: type) -> pa.Schema:
    """The Arrow schema of session reports, or of a class with a part of their fields.

    Args:
        cls: `SessionReport`, or what `into=` takes. Its fields must be as plain as those of
            `SessionReport`, since Arrow would run no converter and no validator, and know no
            default but null and the empty list.

    Returns:
        One column for each field that its constructor takes, under the same snake_case name:
        `int64`, `float64`, `string`, `bool`, times as `timestamp[ms, UTC]`, events as lists of
        structs. Everything may be null, except that a list which is missing or null is empty.

    Raises:
        ValueError: A field is not as plain as that.
    """
    return pa.schema(_fields_of(cls))


def _fields_of(cls: type[Any]) -> list[pa.Field[Any]]:
    hints = get_type_hints(cls)
    return [
        pa.field(field.name, _type_of(field, hints[field.name], f"{cls.__name__}.{field.name}"))
        for field in attrs.fields(cls)
        if field.init
    ]


def _type_of(field: attrs.Attribute[Any], annotation: Any, name: str) -> pa.DataType:
    args = get_args(annotation)
    if field.converter is not None or field.validator is not None:
        raise ValueError(f"{name} has a converter or a validator, which Arrow would not run")
    if get_origin(annotation) is list and attrs.has(args[0]):
        known = field.default is attrs.NOTHING or isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]
        kind: pa.DataType | None = pa.list_(pa.struct(_fields_of(args[0])))
    else:
        known = field.default in {attrs.NOTHING, None}
        kind = _scalar_of(annotation) if field.name == "session_id" else _optional_of(annotation)
    if kind is None:
        raise ValueError(f"{name} has no Arrow type, as it is no field of a report: {annotation!r}")
    if not known:
        raise ValueError(f"{name} has a default, which Arrow does not know")
    return kind


def _optional_of(annotation: Any) -> pa.DataType | None:
    inner = [arg for arg in get_args(annotation) if arg is not NoneType]
    return _scalar_of(*inner) if len(inner) == 1 and NoneType in get_args(annotation) else None


def _scalar_of(annotation: Any) -> pa.DataType | None:
    if attrs.has(annotation):
        return pa.struct(_fields_of(annotation))
    return _SCALARS.get(annotation)


SESSION_REPORTS: Final = schema_of(SessionReport)
"""The schema of whole session reports."""

FLEET_REPORTS: Final = pa.schema(
    [pa.field("charger_id", pa.string()), pa.field("connector_id", pa.string()), *SESSION_REPORTS]
)
"""The schema of whole session reports of several connectors, with whose they are in front."""


async def record_batches(reports: SessionReports[Any]) -> AsyncGenerator[pa.RecordBatch, None]:
    """Walk the pages and give each as one record batch.

    The bytes of a page are read by Arrow, in a thread, and no Python object is built for an
    event. If Arrow refuses a value or would interpret it in its own way, the page is decoded to
    objects first, and Arrow reads those.

    Args:
        reports: What `DepotClient.session_reports` gave; its `into=` chooses the columns.

    Yields:
        A batch for each page that brings something new, with the schema `schema_of` gives. Times
        are cut to milliseconds.

    Raises:
        ApiError: As in a walk over the reports. The reports before the failure are yielded first,
            and the cursor is the position after them. A value of a wrong type is a `SchemaError`
            that names its path.
        ValueError: `into=` is a class that has no Arrow schema, or no field at all.
    """
    schema = schema_of(reports.into)
    if not schema.names:
        raise ValueError(f"{reports.into.__name__} has no fields, so a batch would have no columns")
    async with aclosing(reports.pages()) as pages:
        async for page in pages:
            batch, error = await asyncio.to_thread(_batch_before_error, page, schema)
            del page  # Release the page while the batch is used and the next one is awaited.
            if batch.num_rows:
                yield batch
            if error is not None:
                raise error


def batch_of(page: Page[Any], schema: pa.Schema) -> pa.RecordBatch:
    """Return the new reports of a page.

    Raises:
        SchemaError: One of them is not as documented. The error has the cursor before it.
    """
    batch, error = _batch_before_error(page, schema)
    if error is not None:
        raise error
    return batch


def _batch_before_error(
    page: Page[Any], schema: pa.Schema
) -> tuple[pa.RecordBatch, ApiError | None]:
    """Return the new reports of a page up to the first invalid one, and the error of that one."""
    if None not in page.ids:  # Arrow accepts a report without an id.
        try:
            return _read(page.raw_views, schema, camel_case), None
        except (pa.ArrowInvalid, _NotSoPlain):
            pass
    return _from_objects(page, schema)


def table_of(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """A table with `FLEET_REPORTS`, also of no batches at all."""
    return pa.Table.from_batches(batches, FLEET_REPORTS)


class _NotSoPlain(Exception):
    """Arrow has read something that the objects would not hold, or not like that."""


def _read(
    texts: Sequence[bytes | memoryview], schema: pa.Schema, wire_name: Callable[[str], str]
) -> pa.RecordBatch:
    """Read reports by Arrow alone.

    Args:
        texts: JSON texts of the reports.
        schema: Schema of the batch.
        wire_name: Function from the name of a column to the name of the field in the texts.

    Raises:
        ArrowInvalid: Arrow can't read them so.
        _NotSoPlain: It can, but perhaps not as the objects do.
    """
    lines = b"\n".join(texts)
    if lines.count(b"\n") >= len(texts):
        # Within a string a line end is escaped, so these stand between tokens.
        lines = b"\n".join(bytes(text).replace(b"\n", b" ") for text in texts)
    longest = max(map(len, texts))
    pool = pa.system_memory_pool()  # Arrow's own keeps what it had: 75 MiB more in an export
    table = pa_json.read_json(
        cast("IO[bytes]", pa.BufferReader(lines)),  # a reader of Arrow's own needs no copy
        read_options=pa_json.ReadOptions(block_size=max(BLOCK_BYTES, longest + 1)),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema(_wire_fields(schema, wire_name)),
            unexpected_field_behavior="ignore",
        ),
        memory_pool=pool,
    )
    columns = [
        _column(column.combine_chunks(memory_pool=pool), field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _wire_fields(
    fields: Iterable[pa.Field[Any]], wire_name: Callable[[str], str]
) -> list[pa.Field[Any]]:
    """Return the same fields with their names in the texts, and times as strings."""
    return [pa.field(wire_name(field.name), _wire_type(field.type, wire_name)) for field in fields]


def _wire_type(kind: pa.DataType, wire_name: Callable[[str], str]) -> pa.DataType:
    if isinstance(kind, pa.ListType):
        return pa.list_(_wire_type(kind.value_type, wire_name))
    if isinstance(kind, pa.StructType):
        return pa.struct(_wire_fields(kind, wire_name))
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
    if kind == pa.float64() and not _all(pc.is_finite(array)):
        raise _NotSoPlain("a number beyond all range, which Arrow takes for infinite")
    return _times(array) if kind == TIME else array


def _times(texts: pa.StringArray) -> pa.Array[Any]:
    """Convert texts to times. An empty text is null."""
    pool = pa.system_memory_pool()
    if _are_vendors_times(texts):
        times = pc.cast(texts, TIME, memory_pool=pool)
        moments = pc.cast(times, pa.int64())
    else:
        texts = pc.if_else(pc.equal(texts, pa.scalar("")), None, texts, memory_pool=pool)
        texts = pc.ascii_upper(texts, memory_pool=pool)
        if not _all(pc.match_substring_regex(texts, _TIME_TEXT)):
            raise _NotSoPlain("a time in another form")
        plain = pc.replace_substring_regex(texts, _TIME_TEXT, _PLAIN_TIME, memory_pool=pool)
        more = pc.cast(pc.match_substring_regex(texts, _ROUNDED_UP), pa.int64())
        moments = pc.add(pc.cast(pc.cast(plain, TIME), pa.int64()), more, memory_pool=pool)
        times = pc.cast(moments, TIME)
    first, last = pc.min(moments).as_py(), pc.max(moments).as_py()
    if first is not None and not (first >= _FIRST_MS and last <= _LAST_MS):
        raise _NotSoPlain("a time that Python can't hold")
    if (
        first is not None
        and first < _SECOND_YEAR_MS
        and pc.any(pc.starts_with(texts, "0000")).as_py()
    ):
        raise _NotSoPlain("a time in the year 0")
    return times


def _are_vendors_times(texts: pa.StringArray) -> bool:
    """Whether all have the length and the Z of the vendor's example.

    Of what Arrow takes for a time, nothing else has both. The question costs a twentieth of what
    the pattern does, which is a tenth of all.
    """
    lengths = pc.binary_length(texts)
    same = pc.min(lengths).as_py() == pc.max(lengths).as_py() == len("2026-01-01T00:00:00.000Z")
    return same and _all(pc.ends_with(texts, "Z"))


def _all(answers: Any) -> bool:
    return pc.all(answers).as_py() is not False


def _from_objects(page: Page[Any], schema: pa.Schema) -> tuple[pa.RecordBatch, ApiError | None]:
    """Read a page through its objects, which are built one at a time."""
    texts: list[bytes] = []
    try:
        # The next report raises an error if it is not as documented.
        for report in page.reports:
            texts.append(msgspec.json.encode(report))  # noqa: PERF401 - keep those before an error
    except ApiError as error:
        if (session_id := page.ids[len(texts)]) is not None:
            error.add_note(f"session {session_id}")
        return _read_encoded(page, texts, schema, error)
    return _read_encoded(page, texts, schema, None)


def _read_encoded(
    page: Page[Any], texts: Sequence[bytes], schema: pa.Schema, error: ApiError | None
) -> tuple[pa.RecordBatch, ApiError | None]:
    """Read the JSON texts of objects. Return the error after them, or that of an earlier one."""
    if not texts:
        return pa.RecordBatch.from_pylist([], schema), error
    try:
        return _read(texts, schema, str), error
    except pa.ArrowInvalid:
        pass
    # The objects take integers of any size. Find the first one that is too large.
    good, bad = 0, len(texts)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            _read(texts[good:middle], schema, str)
            good = middle
        except pa.ArrowInvalid:
            bad = middle
    too_large = SchemaError(
        (f"{page.paths[good]}: too large for its column: an integer of over 64 bits",)
    )
    too_large.cursor = page.cursor_at(good)
    return _read_encoded(page, texts[:good], schema, too_large)


def session_reports_from(rows: pa.RecordBatch | pa.Table) -> list[SessionReport]:
    """The objects again, of rows that hold whole reports.

    Args:
        rows: With the columns of `SESSION_REPORTS`; others, such as those that a folder's name
            adds, are passed over.

    Raises:
        ValueError: A column is missing, or holds something else.
    """
    missing = [name for name in SESSION_REPORTS.names if name not in rows.schema.names]
    if missing:
        raise ValueError(f"these are no session reports: there is no column {', '.join(missing)}")
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, lambda time, _: time.astimezone(UTC))
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    try:
        found = table.select(SESSION_REPORTS.names).cast(SESSION_REPORTS).to_pylist()
    except pa.ArrowException as error:
        raise ValueError(f"these are no session reports: {error}") from None
    return [converter.structure(_given(row), SessionReport) for row in found]


def _given(value: Any) -> Any:
    """Without what is null, for which the objects have their own defaults."""
    if isinstance(value, list):
        return [_given(item) for item in value]
    if isinstance(value, dict):
        return {key: _given(inner) for key, inner in value.items() if inner is not None}
    return value
