"""Parquet files of session reports (extra `arrow`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

# Import this first: without pyarrow, its error names the extra.
from depotclient.arrow import SESSION_REPORTS, session_reports_from
from depotclient.arrow.batches import row_of, rows_of
from depotclient.arrow.schema import TIME, read_times

# isort: split
import attrs
import pyarrow as pa
from pyarrow import parquet

from depotclient.drift import UnknownPart, count_reports, encode_part, find_unknown
from depotclient.export.footer import MANIFEST_KEY
from depotclient.export.formats import DecodedPage, Format
from depotclient.keys import compute_session_key, read_session_id
from depotclient.models import SessionReport
from depotclient.pages import Page
from depotclient.sessions import Session

__all__ = ["ParquetFormat", "ParquetWriter", "read_manifest", "read_session"]

ROW_GROUP_BYTES: Final = 8 * 2**20
"""Minimum size of a row group in memory, about 90 large reports."""

DICTIONARY_BYTES: Final = 64 * 2**10
"""Maximum size of a dictionary. Values that rarely repeat are soon written without one."""

T = TypeVar("T", pa.RecordBatch, pa.Table)

_IDENTITY: Final = ["session_id", "session_time_start", "session_time_end"]

_UNKNOWN_FIELDS: Final = pa.field("unknown_fields", pa.string())


def read_manifest(path: Path) -> bytes | None:
    """Return the manifest of a file as JSON, or None if the file has no manifest.

    Raises:
        OSError: The file can't be read.
    """
    try:
        with _open(path, "rb") as file:
            metadata = parquet.read_metadata(file).metadata or {}
    except (pa.ArrowException, UnicodeDecodeError):  # Arrow can't always describe the damage.
        return None
    return metadata.get(MANIFEST_KEY.encode())


def read_session(path: Path, session_id: int | None) -> tuple[SessionReport | None, list[int]]:
    """Return a session of a file, and the ids of earlier sessions in the file.

    Args:
        path: Parquet file.
        session_id: Session id. None means the first session of the file.

    Returns:
        The session, or None and all ids if the file does not hold it.

    Raises:
        ValueError: The file is not a Parquet file of session reports.
        OSError: The file can't be read.
    """
    if path.exists() and not path.is_file():  # Opening a pipe may block forever.
        raise ValueError(
            f"{path} is not a Parquet file of session reports: it is not a regular file"
        )
    try:
        with _open(path, "rb") as file:
            return _find(parquet.ParquetFile(file), session_id)
    except (pa.ArrowException, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} is not a Parquet file of session reports: {error}") from None


def _find(
    file: parquet.ParquetFile, session_id: int | None
) -> tuple[SessionReport | None, list[int]]:
    if "session_id" not in file.schema_arrow.names:
        raise ValueError("it has no column session_id")
    earlier: list[int] = []
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=["session_id"]).to_pylist()
        ids = [row["session_id"] for row in rows]
        requested = ids[0] if session_id is None and ids else session_id
        if requested in ids:
            row = file.read_row_group(group).slice(ids.index(requested), 1)
            return session_reports_from(row)[0], earlier
        earlier += (known for known in ids if known is not None)
    return None, earlier


@attrs.frozen
class ParquetFormat:
    """Parquet as a format of an export.

    Attributes:
        keep_unknown: Whether the files have the column `unknown_fields`.
    """

    keep_unknown: bool = False
    name: Format = attrs.field(default="parquet", init=False)
    into: type[Any] = attrs.field(default=SessionReport, init=False)

    @property
    def schema(self) -> pa.Schema:
        """Return the schema of the files."""
        return SESSION_REPORTS.append(_UNKNOWN_FIELDS) if self.keep_unknown else SESSION_REPORTS

    def decode(self, page: Page[Any]) -> DecodedPage[pa.RecordBatch]:
        """Return the new reports of a page."""
        found = rows_of(page)
        ids, keys = page.ids, page.keys
        sessions = _sessions_of(
            found.batch, [ids[n] for n in found.indexes], [keys[n] for n in found.indexes]
        )
        batch = self._with_unknown(found.batch, found.unknown)
        # Otherwise Arrow's pool keeps memory: a quarter of an export's memory growth.
        pa.default_memory_pool().release_unused()
        return DecodedPage(batch, sessions, found.refused, count_reports(found.unknown))

    def decode_report(self, report: bytes) -> tuple[pa.RecordBatch, Session]:
        """Return one report as a row, and its session.

        Raises:
            SchemaError: The report is invalid.
        """
        row, session_id = row_of(report), read_session_id(report)
        (session,) = _sessions_of(row, [session_id], [compute_session_key(session_id, report)])
        return self._with_unknown(row, [find_unknown(report)]), session

    def _with_unknown(self, rows: pa.RecordBatch, unknown: Sequence[UnknownPart]) -> pa.RecordBatch:
        """Return rows with the columns of the files."""
        if not self.keep_unknown:
            return rows
        texts = pa.array([*map(encode_part, unknown)] or [None] * rows.num_rows, pa.string())
        return pa.RecordBatch.from_arrays([*rows.columns, texts], schema=self.schema)

    def create(self, path: Path) -> ParquetWriter:
        """Open a writer of a new file."""
        return ParquetWriter(path, self.schema)

    def read_sessions(
        self, path: Path, missing_start: Mapping[int, int | None]
    ) -> tuple[Session, ...]:
        """Return the session of each row of a file.

        Raises:
            ValueError: The file does not match `missing_start`.
        """
        with _open(path, "rb") as file:
            table = parquet.ParquetFile(file).read(_IDENTITY)
        ids = table["session_id"].to_pylist()
        starts, ends = (
            read_times(table["session_time_start"]),
            read_times(table["session_time_end"]),
        )
        keys = iter(missing_start.items())
        sessions = list[Session]()
        for session_id, start, end in zip(ids, starts, ends, strict=True):
            key, known_id = (0, session_id) if start is not None else next(keys, (0, -2))
            if known_id != session_id:
                raise ValueError("the manifest does not name the rows without a start")
            sessions.append(Session(session_id, start, end, key))
        return tuple(sessions)


def _sessions_of(
    rows: pa.RecordBatch, ids: Iterable[int | None], keys: Iterable[int]
) -> list[Session]:
    starts, ends = read_times(rows["session_time_start"]), read_times(rows["session_time_end"])
    return [*map(Session, ids, starts, ends, keys)]


class ParquetWriter:
    """Writer of session reports as rows. The manifest goes into the metadata of the file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._file = _open(path, "wb")
        leaves = dict(_leaves_of(schema))
        times = [path for path, kind in leaves.items() if kind == TIME]
        # With Arrow's defaults, the files of the sandbox are 3 times as large.
        self._writer = parquet.ParquetWriter(
            self._file,
            schema,
            compression="zstd",
            use_dictionary=[path for path in leaves if path not in times],  # type: ignore[arg-type]
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
            memory_pool=pa.system_memory_pool(),
        )
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0

    def write(self, rows: pa.RecordBatch, indexes: Sequence[int]) -> None:
        """Add rows of a page."""
        self._add(_select(rows, indexes))
        # Otherwise Arrow's pool keeps memory: a quarter of an export's memory growth.
        pa.default_memory_pool().release_unused()

    def copy(self, path: Path, indexes: Sequence[int]) -> None:
        """Add rows of another file, one row group at a time."""
        with _open(path, "rb") as opened:
            file, first = parquet.ParquetFile(opened), 0
            for group in range(file.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                selected = [index - first for index in indexes if first <= index < end]
                first = end
                if selected:
                    rows = file.read_row_group(group, columns=self._schema.names)
                    for batch in _conform(_select(rows, selected), self._schema).to_batches():
                        self._add(batch)
        pa.default_memory_pool().release_unused()

    def _add(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held, self._schema)
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))
        self._held, self._bytes = [], 0

    def finish(self, manifest: bytes) -> None:
        """Write the last rows and the manifest."""
        self._write_group()
        self._writer.add_key_value_metadata({MANIFEST_KEY: manifest.decode()})

    def close(self) -> None:
        """Write the footer and close the file."""
        with self._file:
            self._writer.close()


def _leaves_of(
    fields: Iterable[pa.Field[Any]], prefix: str = ""
) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the path of each column, such as `ocpp_status.list.element.value`, and its type."""
    for field in fields:
        path, kind = prefix + field.name, field.type
        if isinstance(kind, pa.ListType):
            path, kind = f"{path}.list.element", kind.value_type
        if isinstance(kind, pa.StructType):
            yield from _leaves_of(kind, f"{path}.")
        else:
            yield path, kind


def _conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows of an older file with the columns of a new one. A new column is null."""
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)


def _select(rows: T, indexes: Sequence[int]) -> T:
    """Return some rows, in their order."""
    if len(indexes) == rows.num_rows:
        return rows
    selected = set(indexes)
    return rows.filter(pa.array([index in selected for index in range(rows.num_rows)]))


def _open(path: Path, mode: Literal["rb", "wb"]) -> pa.OSFile:
    # Arrow encodes a str path as UTF-8, but file names may have other bytes.
    return pa.OSFile(os.fsencode(path), mode)  # type: ignore[arg-type]
